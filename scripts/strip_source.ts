// Blanks what is not code in TypeScript text, so that the layer checks look at code only.
// A small lexer, not a parser: it knows comments, strings, templates and regular expressions, and keeps
// every line break, so line numbers stay true.
// Role: wire

/** A source text in two stages of blanking; both have the lines of the original. */
export interface StrippedSource {
  /** Comments blanked; strings kept (import paths). */
  readonly withStrings: string;
  /** Comments, string contents, template texts and regular expressions blanked. */
  readonly codeOnly: string;
}

/** Words after which a slash starts a regular expression and not a division. */
const BEFORE_REGEXP =
  /(?:^|[^\w$.])(?:return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield)\s*$/;

/** Blanks comments, and strings where asked. */
export function stripSource(source: string): StrippedSource {
  const lexer = new Lexer(source);
  lexer.run();
  return { withStrings: lexer.withStrings, codeOnly: lexer.codeOnly };
}

class Lexer {
  withStrings = "";
  codeOnly = "";
  readonly #source: string;
  #at = 0;
  /** Brace depth at which each open template goes on. */
  readonly #templates: number[] = [];
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
  }

  run(): void {
    while (this.#at < this.#source.length) this.#step();
  }

  #step(): void {
    const two = this.#source.slice(this.#at, this.#at + 2);
    const char = two[0]!;
    if (two === "//") this.#take(this.#lineEnd() - this.#at, "blank");
    else if (two === "/*") this.#take(this.#until("*/", 2), "blank");
    else if (char === '"' || char === "'") this.#quoted(this.#stringLength(char));
    else if (char === "`") this.#template(1);
    else if (char === "}" && this.#templates.at(-1) === this.#depth) this.#template(1);
    else if (char === "/" && this.#regexpAllowed()) this.#quoted(this.#regexpLength());
    else this.#code(char);
  }

  #code(char: string): void {
    if (char === "{") this.#depth++;
    if (char === "}") this.#depth--;
    this.#take(1, "code");
  }

  /** From the opening backtick, or from the brace that ends an insertion, to the next end of text. */
  #template(opening: number): void {
    if (this.#source[this.#at] === "}") this.#templates.pop();
    let end = this.#at + opening;
    while (end < this.#source.length && this.#source[end] !== "`" && !this.#source.startsWith("${", end)) {
      end += this.#source[end] === "\\" ? 2 : 1;
    }
    const inserts = this.#source.startsWith("${", end);
    if (inserts) this.#templates.push(this.#depth);
    this.#quoted(Math.min(end + (inserts ? 2 : 1), this.#source.length) - this.#at);
  }

  #quoted(length: number): void {
    const text = this.#source.slice(this.#at, this.#at + length);
    this.withStrings += text;
    this.codeOnly += text[0] + blank(text.slice(1, -1)) + (text.length > 1 ? text.at(-1) : "");
    this.#at += length;
  }

  #take(length: number, as: "code" | "blank"): void {
    const text = this.#source.slice(this.#at, this.#at + length);
    const kept = as === "code" ? text : blank(text);
    this.withStrings += kept;
    this.codeOnly += kept;
    this.#at += length;
  }

  #lineEnd(): number {
    const end = this.#source.indexOf("\n", this.#at);
    return end < 0 ? this.#source.length : end;
  }

  #until(mark: string, from: number): number {
    const end = this.#source.indexOf(mark, this.#at + from);
    return (end < 0 ? this.#source.length : end + mark.length) - this.#at;
  }

  #stringLength(quote: string): number {
    let end = this.#at + 1;
    while (end < this.#source.length && this.#source[end] !== quote && this.#source[end] !== "\n") {
      end += this.#source[end] === "\\" ? 2 : 1;
    }
    return Math.min(end + 1, this.#source.length) - this.#at;
  }

  #regexpLength(): number {
    let inClass = false;
    let end = this.#at + 1;
    for (; end < this.#source.length && this.#source[end] !== "\n"; end++) {
      const char = this.#source[end];
      if (char === "\\") end++;
      else if (char === "[") inClass = true;
      else if (char === "]") inClass = false;
      else if (char === "/" && !inClass) break;
    }
    return Math.min(end + 1, this.#source.length) - this.#at;
  }

  #regexpAllowed(): boolean {
    const before = this.codeOnly.slice(-200).trimEnd();
    return before === "" || /[(,=:[!&|?{};+\-*%<>~^]$/.test(before) || BEFORE_REGEXP.test(before);
  }
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}
