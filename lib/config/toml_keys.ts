// Where the keys of a TOML text are, for complaints that point at them: the parser only says what they hold. The text
// has been parsed before, so that what is met here is well-formed; where it is not, looking ends.
// Role: wire

/** A key or table: its names and numbers from the top, as the parsed value has them. */
export interface TomlKey {
  /** Such as ["account", 0, "password"]. */
  readonly path: readonly (string | number)[];
  /** Counts from 1. */
  readonly line: number;
  /** Counts from 1. */
  readonly column: number;
}

/** Inline tables and lists in each other at most, and names of one key that are told apart. */
const MAX_DEPTH = 100;

/** Every key of a text, in order. */
export function findTomlKeys(text: string): TomlKey[] {
  const scanner = new KeyScanner(text);
  scanner.document();
  return scanner.keys;
}

class KeyScanner {
  readonly keys: TomlKey[] = [];
  readonly #text: string;
  #at = 0;
  #line = 1;
  #lineStart = 0;
  /** Where the keys of the next lines belong. */
  #table: (string | number)[] = [];
  /** How many tables of a list there are, by the path of the list. */
  readonly #counts = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    while (this.#skip(true)) {
      const before = this.#at;
      if (this.#text[this.#at] === "[") this.#header();
      else this.#pair(this.#table, 0);
      if (this.#at === before) return;
    }
  }

  #header(): void {
    const list = this.#text[this.#at + 1] === "[";
    this.#at += list ? 2 : 1;
    this.#skip(false);
    const place = this.#place();
    const path: (string | number)[] = [];
    const names = this.#names();
    for (const [index, name] of names.entries()) {
      path.push(name);
      const count = this.#counts.get(JSON.stringify(path));
      if (list && index === names.length - 1) {
        this.#counts.set(JSON.stringify(path), (count ?? 0) + 1);
        path.push(count ?? 0);
      } else if (count !== undefined) path.push(count - 1);
    }
    this.#table = path;
    this.keys.push({ path, ...place });
    this.#at += list ? 2 : 1;
  }

  #pair(table: readonly (string | number)[], depth: number): void {
    const place = this.#place();
    const path = [...table, ...this.#names()];
    if (this.#text[this.#at] !== "=") return;
    this.#at++;
    this.keys.push({ path, ...place });
    this.#skip(false);
    this.#value(path, depth);
  }

  #names(): string[] {
    const names: string[] = [];
    while (this.#at < this.#text.length) {
      const start = this.#at;
      const sign = this.#text[start];
      if (sign === '"' || sign === "'") {
        this.#string();
        if (names.length < MAX_DEPTH) names.push(unquoted(this.#text.slice(start, this.#at)));
      } else {
        while (isBare(this.#text.charCodeAt(this.#at))) this.#at++;
        if (this.#at === start) return names;
        if (names.length < MAX_DEPTH) names.push(this.#text.slice(start, this.#at));
      }
      this.#skip(false);
      if (this.#text[this.#at] !== ".") return names;
      this.#at++;
      this.#skip(false);
    }
    return names;
  }

  #value(path: readonly (string | number)[], depth: number): void {
    const sign = this.#text[this.#at];
    if (sign === '"' || sign === "'") return this.#string();
    if ((sign === "[" || sign === "{") && depth < MAX_DEPTH) return this.#members(path, depth, sign === "[");
    while (this.#at < this.#text.length && !/[,\]}#\r\n]/.test(this.#text[this.#at]!)) this.#at++;
  }

  /** [value, value] or { key = value, key = value } */
  #members(path: readonly (string | number)[], depth: number, list: boolean): void {
    this.#at++;
    for (let index = 0; this.#skip(true); index++) {
      if (this.#text[this.#at] === (list ? "]" : "}")) {
        this.#at++;
        return;
      }
      const before = this.#at;
      if (list) this.#value([...path, index], depth + 1);
      else this.#pair(path, depth + 1);
      this.#skip(true);
      if (this.#text[this.#at] === ",") this.#at++;
      if (this.#at === before) return;
    }
  }

  #string(): void {
    const quote = this.#text[this.#at]!;
    const escapes = quote === '"';
    const long = this.#text.startsWith(quote.repeat(3), this.#at);
    const end = long ? quote.repeat(3) : quote;
    this.#at += end.length;
    while (this.#at < this.#text.length && !this.#text.startsWith(end, this.#at)) {
      if (escapes && this.#text[this.#at] === "\\") this.#at++;
      this.#step();
    }
    this.#at += end.length;
    while (long && this.#text[this.#at] === quote) this.#at++; // up to two quotes belong to the text
  }

  /** Over blanks, and with `lines` over line ends and comments; false at the end of the text. */
  #skip(lines: boolean): boolean {
    for (; this.#at < this.#text.length; this.#step()) {
      const sign = this.#text[this.#at]!;
      if (lines && sign === "#") {
        while (this.#at < this.#text.length && this.#text[this.#at] !== "\n") this.#at++;
      } else if (sign !== " " && sign !== "\t" && !(lines && (sign === "\n" || sign === "\r"))) return true;
      if (this.#at >= this.#text.length) return false;
    }
    return false;
  }

  #step(): void {
    if (this.#text[this.#at] === "\n") {
      this.#line++;
      this.#lineStart = this.#at + 1;
    }
    this.#at++;
  }

  #place(): { line: number; column: number } {
    const quoted = this.#text[this.#at] === '"' || this.#text[this.#at] === "'";
    return { line: this.#line, column: this.#at - this.#lineStart + (quoted ? 2 : 1) };
  }
}

/** A sign of a key without quotes: letter, digit, - or _ */
function isBare(code: number): boolean {
  return code >= 0x61 && code <= 0x7a || code >= 0x41 && code <= 0x5a || code >= 0x30 && code <= 0x39 ||
    code === 0x2d || code === 0x5f;
}

/** The name of a key in quotes; escapes as in JSON, and as they are where JSON has others. */
function unquoted(text: string): string {
  if (text[0] === "'" || !text.includes("\\")) return text.slice(1, -1);
  try {
    return String(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return text.slice(1, -1);
  }
}
