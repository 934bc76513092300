// Patterns of the dial plan: a small language of our own, so that no pattern can be slow.
// Role: wire

/** Longest pattern, in characters. */
export const MAX_PATTERN_LENGTH = 128;
/** Longest text that can match, in characters. */
export const MAX_SUBJECT_LENGTH = 256;
/** Groups of a pattern: $1 to $9. */
const MAX_GROUPS = 9;

/** A pattern, or what is wrong with its text; the problem reads well after the pattern. */
type ParsedPattern =
  | { readonly type: "pattern"; readonly pattern: DialPattern }
  | { readonly type: "wrong"; readonly problem: string };

/** One character of a text: any, or inside (outside, when `except`) some ranges. */
interface CharacterSet {
  readonly except: boolean;
  readonly ranges: readonly (readonly [first: string, last: string])[];
}

type Step =
  | { readonly type: "character"; readonly set: CharacterSet; optional: boolean; repeated: boolean }
  | { readonly type: "open" | "close"; readonly group: number };

const ANY: CharacterSet = { except: true, ranges: [] };
const DIGIT: CharacterSet = { except: false, ranges: [["0", "9"]] };
/** They mean something in other pattern languages, so nobody shall wonder why they match nothing. */
const REFUSED = new Map([
  ["^", "the whole number is compared anyway: leave it out, or write \\^"],
  ["$", "the whole number is compared anyway: leave it out, or write \\$"],
  ["|", "write a rule for each alternative"],
  ["{", "repeat the character instead"],
  ["}", "repeat the character instead"],
]);

/**
 *   7140        these characters          .       any character          (..)  remembered: $1, $2 in the target
 *   [0-9#]      one of these              [^0]    any but these          \d    a digit      \.  the character itself
 *   x* x+ x?    any number, at least one, one or none of the character before; + at the start is itself
 *
 * The whole text is compared. A match takes at most (steps of the pattern) * (characters of the text) steps.
 */
export class DialPattern {
  readonly text: string;
  readonly groups: number;
  /** True when it names an `@`: then it is compared with user@host, else with what is before the @. */
  readonly wantsHost: boolean;
  readonly #steps: readonly Step[];

  /** Made by {@link parseDialPattern}. */
  constructor(text: string, steps: readonly Step[]) {
    this.text = text;
    this.#steps = steps;
    this.groups = steps.filter((step) => step.type === "open").length;
    this.wantsHost = steps.some((step) => step.type === "character" && isOnly(step.set, "@"));
  }

  /** What the groups hold, the whole text first; null when the text does not fit. */
  match(text: string): string[] | null {
    const characters = [...text];
    if (characters.length > MAX_SUBJECT_LENGTH) return null;
    const bounds = new Array<number>(2 * this.groups).fill(0);
    if (!this.#walk(0, 0, { characters, bounds, failed: new Set() })) return null;
    const groups = Array.from(
      { length: this.groups },
      (_, group) => characters.slice(bounds[2 * group], bounds[2 * group + 1]),
    );
    return [text, ...groups.map((group) => group.join(""))];
  }

  /** A place that has failed once fails again, whatever led there: this bounds the work. */
  #walk(index: number, at: number, attempt: Attempt): boolean {
    const step = this.#steps[index];
    if (step === undefined) return at === attempt.characters.length;
    const place = index * (MAX_SUBJECT_LENGTH + 1) + at;
    if (attempt.failed.has(place)) return false;
    const found = step.type === "character"
      ? this.#walkCharacter(step, index, at, attempt)
      : this.#walkBound(step, index, at, attempt);
    if (!found) attempt.failed.add(place);
    return found;
  }

  #walkBound(step: Step & { type: "open" | "close" }, index: number, at: number, attempt: Attempt): boolean {
    attempt.bounds[2 * step.group + (step.type === "open" ? 0 : 1)] = at;
    return this.#walk(index + 1, at, attempt);
  }

  /** As much as possible first. */
  #walkCharacter(step: Step & { type: "character" }, index: number, at: number, attempt: Attempt): boolean {
    const character = attempt.characters[at];
    if (character !== undefined && contains(step.set, character)) {
      if (this.#walk(step.repeated ? index : index + 1, at + 1, attempt)) return true;
    }
    return step.optional && this.#walk(index + 1, at, attempt);
  }
}

interface Attempt {
  readonly characters: readonly string[];
  readonly bounds: number[];
  readonly failed: Set<number>;
}

function contains(set: CharacterSet, character: string): boolean {
  const code = character.codePointAt(0)!;
  const inside = set.ranges.some(([first, last]) =>
    first.codePointAt(0)! <= code && code <= last.codePointAt(0)!
  );
  return inside !== set.except;
}

function isOnly(set: CharacterSet, character: string): boolean {
  const [range] = set.ranges;
  return !set.except && set.ranges.length === 1 && range?.[0] === character && range[1] === character;
}

function only(character: string): CharacterSet {
  return { except: false, ranges: [[character, character]] };
}

/** Reads a pattern; never throws. */
export function parseDialPattern(text: string): ParsedPattern {
  if (text === "") return { type: "wrong", problem: "is empty" };
  const parser = new PatternParser([...text]);
  const problem = text.length > MAX_PATTERN_LENGTH
    ? `is longer than ${MAX_PATTERN_LENGTH} characters`
    : parser.run();
  if (problem !== null) return { type: "wrong", problem };
  return { type: "pattern", pattern: new DialPattern(text, parser.steps) };
}

/** Each method returns what is wrong, or null. */
class PatternParser {
  readonly steps: Step[] = [];
  readonly #text: readonly string[];
  #at = 0;
  #groups = 0;
  #inGroup = false;

  constructor(text: readonly string[]) {
    this.#text = text;
  }

  run(): string | null {
    while (this.#at < this.#text.length) {
      const problem = this.#take(this.#text[this.#at++]!);
      if (problem !== null) return problem;
    }
    return this.#inGroup ? "has ( without )" : null;
  }

  #take(character: string): string | null {
    switch (character) {
      case "(":
        return this.#open();
      case ")":
        return this.#close();
      case "[":
        return this.#takeSet();
      case "]":
        return "has ] without [";
      case ".":
        return this.#put(ANY);
      case "\\":
        return this.#takeEscaped();
      case "*":
      case "+":
      case "?":
        return this.#repeat(character);
    }
    const hint = REFUSED.get(character);
    return hint === undefined
      ? this.#put(only(character))
      : `has ${character}, which means nothing here: ${hint}`;
  }

  #put(set: CharacterSet): null {
    this.steps.push({ type: "character", set, optional: false, repeated: false });
    return null;
  }

  #open(): string | null {
    if (this.#inGroup) return "has ( inside ( )";
    if (this.#groups === MAX_GROUPS) return `has more than ${MAX_GROUPS} groups`;
    this.#inGroup = true;
    this.steps.push({ type: "open", group: this.#groups });
    return null;
  }

  #close(): string | null {
    if (!this.#inGroup) return "has ) without (";
    this.#inGroup = false;
    this.steps.push({ type: "close", group: this.#groups++ });
    return null;
  }

  #takeEscaped(): string | null {
    const character = this.#text[this.#at++];
    if (character === undefined) return "ends with \\";
    if (character === "d") return this.#put(DIGIT);
    if (/[\p{L}\p{N}]/u.test(character)) return `has \\${character}, which means nothing here`;
    return this.#put(only(character));
  }

  #repeat(sign: "*" | "+" | "?"): string | null {
    const last = this.steps.at(-1);
    if (last === undefined || last.type === "open") {
      if (sign === "+") return this.#put(only("+")); // +49...
      return `has ${sign} with nothing before it; for the key write [${sign}]`;
    }
    if (last.type !== "character") return `has ${sign} after a group: only one character can be repeated`;
    if (last.optional) return `has ${sign} after a repetition; for the key write [${sign}]`;
    if (sign === "+") this.#put(last.set);
    const repeated = this.steps.at(-1) as Step & { type: "character" };
    repeated.optional = true;
    repeated.repeated = sign !== "?";
    return null;
  }

  /** `[` was taken. `]` ends, `\` escapes, `-` between two characters is a range. */
  #takeSet(): string | null {
    const except = this.#text[this.#at] === "^";
    if (except) this.#at++;
    const ranges: [string, string][] = [];
    for (;;) {
      const first = this.#text[this.#at++];
      if (first === undefined) return "has [ without ]";
      if (first === "]") break;
      const from = first === "\\" ? this.#text[this.#at++] : first;
      const isRange = this.#text[this.#at] === "-" && this.#text[this.#at + 1] !== "]";
      if (isRange) this.#at++;
      const to = isRange ? this.#text[this.#at++] : from;
      if (from === undefined || to === undefined) return "has [ without ]";
      if (from.codePointAt(0)! > to.codePointAt(0)!) {
        return `has the range ${from}-${to}, which is the wrong way round`;
      }
      ranges.push([from, to]);
    }
    if (ranges.length === 0) return "has an empty [ ]";
    return this.#put({ except, ranges });
  }
}
