// Whether a parser takes time in proportion to its text: valid texts with a run of something hostile at each place,
// ever longer. What a busy machine adds is taken off by repeating: only the least of several times is believed.
// Role: edge

import { Buffer } from "node:buffer";
import { WireError } from "../../lib/base/errors.ts";

/** One parser, and valid texts it is tried with. */
export interface Subject {
  /** "sip/uri.ts parseSipUri". */
  readonly name: string;
  /** Valid texts; those of decoders hold a byte per character. */
  readonly samples: readonly string[];
  /** Characters that are repeated. */
  readonly alphabet: readonly string[];
  /** Makes what the parser is given, out of the measured time. */
  readonly prepare: (text: string) => unknown;
  /** The parser; a WireError is an answer like others. */
  readonly call: (input: never) => unknown;
  /** What the largest text may take; {@link MAX_MS} unless said otherwise. */
  readonly maxMs?: number;
}

/** A place in a valid text, and what is repeated there. */
interface Attack {
  readonly before: string;
  readonly after: string;
  readonly run: Run;
}

/** A text of about so many characters. */
interface Run {
  readonly shown: string;
  readonly make: (length: number) => string;
}

/** About 1, 2, 4 ... 64 KB; with what stands around it still below the bounds that are powers of two. */
const SIZES = [900, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600] as const;
const SMALL = SIZES[0];
const MIDDLE = SIZES[2];
const LARGE = SIZES[6];

/** What the largest may take. */
const MAX_MS = 5;

/** Four times the text may take 1.3 times four times as long; the square takes 16 times as long. */
const MAX_GROWTH = 4 * 1.3;

/** Below it growth says nothing: what happens once and the clock weigh as much. */
const JUDGED_MS = 0.25;

/** A text takes so much time that larger ones need not be tried. */
const HOPELESS_MS = 50;

/** Nor are larger ones tried at first when a smaller one takes this long. */
const LOOKED_AT_MS = 2;

/** The slowest of each size are looked at closely. */
const SUSPECTS = 2;

/** How many attacks of each size are tried: at least so many, and so many for each place; all take minutes. */
const ATTACKS: Readonly<Record<number, readonly [least: number, perPlace: number]>> = {
  [SMALL]: [800, 2],
  [MIDDLE]: [200, 0.6],
  [LARGE]: [36, 0.06],
};

/** A parser that is slow for other reasons has its attacks cut short. */
const MAX_TRYING_MS = 100;

const CHARACTERS = [..." \t\r\n\u2028\0\"'<>()[]{};,:/\\=@%&?.+-*#|$_~0aFé"];
const OCTETS = [
  0x00,
  0x01,
  0x02,
  0x03,
  0x05,
  0x08,
  0x0a,
  0x0b,
  0x11,
  0x20,
  0x40,
  0x67,
  0x7f,
  0x80,
  0xc0,
  0xff,
]
  .map((octet) => String.fromCharCode(octet));

/** Several characters, and texts of which no two are the same. */
const PIECES = [
  "a=b;",
  ';a="b"',
  "a, ",
  "<a>,",
  '"a",',
  '\\"',
  "%41",
  "%ff",
  "%c3%a4",
  "%",
  "A: b\r\n",
  "\r\n ",
  "a=b\r\n",
  "/a",
  "&a=b",
  "a\n",
];
const DISTINCT = [["t", ","], ["t", ";"], ["t", "=1;"], ["X", ": y\r\n"], ["a=t", "\r\n"], ["", " "], [
  "/t",
  "",
]] as const;

/** A parser of text. */
export function text<T>(file: string, parse: (text: string) => T, ...samples: string[]): Subject {
  return named(`${file} ${parse.name}`, parse, ...samples);
}

/** A parser of text by another name than that of its function. */
export function named<T>(name: string, parse: (text: string) => T, ...samples: string[]): Subject {
  return { name, samples, alphabet: CHARACTERS, prepare: (text) => text, call: parse };
}

/** A parser of bytes that hold text. */
export function utf8<T>(name: string, parse: (bytes: Uint8Array) => T, ...samples: string[]): Subject {
  return {
    name,
    samples,
    alphabet: CHARACTERS,
    prepare: (text) => new TextEncoder().encode(text),
    call: parse,
  };
}

/** A decoder of bytes. */
export function octets<T>(name: string, decode: (bytes: Uint8Array) => T, ...samples: Uint8Array[]): Subject {
  const texts = samples.map((bytes) => String.fromCharCode(...bytes));
  const prepare = (text: string): Uint8Array => {
    const bytes = Buffer.from(text, "latin1");
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  };
  return { name, samples: texts, alphabet: OCTETS, prepare, call: decode };
}

/** What is wrong with it first, in words; null when nothing is. @param thorough everything at each place, for minutes */
export function timeProblem(subject: Subject, thorough = false): string | null {
  const slowest = new Slowest(subject);
  const pieces = [...PIECES.map(repeated), ...DISTINCT.map(distinct)];
  const runs = [...subject.alphabet.map(repeated), ...pieces];
  const pairs = pairsOf(subject.alphabet);
  for (const sample of subject.samples) {
    for (let i = 0; i < 20; i++) timeOnce(subject, subject.prepare(sample));
    const places = placesOf(sample);
    // Trying all ways to read shows in small texts, a slow copy for each of many pieces in larger ones.
    for (const [list, size] of [[runs, SMALL], [pairs, SMALL], [pieces, MIDDLE], [runs, LARGE]] as const) {
      const [least, perPlace] = ATTACKS[size]!;
      const wanted = thorough ? Infinity : Math.max(least, perPlace * places.length) / subject.samples.length;
      const deadline = thorough ? Infinity : performance.now() + MAX_TRYING_MS;
      for (const [count, index] of spread(places.length * list.length)) {
        if (count >= wanted || performance.now() > deadline) break;
        slowest.tryWith(
          { ...places[index % places.length]!, run: list[Math.floor(index / places.length)]! },
          size,
        );
      }
    }
  }
  return slowest.problem();
}

/** The numbers below `length` in an order of which any beginning is spread over all. */
function* spread(length: number): Generator<[count: number, index: number]> {
  let step = Math.floor(length * 0.618) || 1;
  while (greatestDivisor(step, length) > 1) step++;
  for (let count = 0; count < length; count++) yield [count, count * step % length];
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** Keeps the attacks that took longest. */
class Slowest {
  readonly #subject: Subject;
  readonly #kept = new Map<number, { attack: Attack; ms: number }[]>();
  #hopeless = 0;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  /** Small first: what is far from linear would not come back from a large text. */
  tryWith(attack: Attack, size: number): void {
    if (this.#hopeless > SUSPECTS) return;
    for (const smaller of [SMALL, MIDDLE]) {
      if (smaller >= size) break;
      if (this.#leastOf(attack, smaller, LOOKED_AT_MS) > LOOKED_AT_MS) {
        return this.#keep(attack, smaller, Infinity);
      }
    }
    const kept = this.#kept.get(size) ?? [];
    const limitMs = kept.length < SUSPECTS ? 0 : kept.at(-1)!.ms;
    const ms = this.#leastOf(attack, size, limitMs);
    const hopeless = ms > (size < LARGE ? LOOKED_AT_MS : HOPELESS_MS / 2);
    if (ms > limitMs) this.#keep(attack, size, hopeless ? Infinity : ms);
  }

  problem(): string | null {
    for (const kept of this.#kept.values()) {
      for (const { attack } of kept) {
        const problem = verdict(this.#subject, attack);
        if (problem !== null) return problem;
      }
    }
    return null;
  }

  /** Again when it took long: it may have been the machine. */
  #leastOf(attack: Attack, size: number, limitMs: number): number {
    const input = this.#subject.prepare(textOf(attack, size));
    let ms = timeOnce(this.#subject, input);
    for (let i = 0; i < (ms > HOPELESS_MS ? 1 : 3) && ms > limitMs; i++) {
      ms = Math.min(ms, timeOnce(this.#subject, input));
    }
    return ms;
  }

  #keep(attack: Attack, size: number, ms: number): void {
    if (ms === Infinity) this.#hopeless++;
    const kept = this.#kept.get(size) ?? [];
    kept.push({ attack, ms });
    kept.sort((a, b) => b.ms - a.ms);
    kept.length = Math.min(kept.length, SUSPECTS);
    this.#kept.set(size, kept);
  }
}

/** Null when all is well, or was well once in six rounds: what other programs do never makes it faster. */
function verdict(subject: Subject, attack: Attack): string | null {
  let problem = sweep(subject, attack, SIZES.filter((_, index) => index % 2 === 0), 3);
  for (let round = 1; round < 6 && problem !== null; round++) {
    problem = sweep(subject, attack, SIZES, 3 + 2 * round);
  }
  return problem;
}

function sweep(
  subject: Subject,
  attack: Attack,
  sizes: readonly number[],
  repetitions: number,
): string | null {
  const times = new Map<number, number>();
  let grew = 1;
  for (const size of sizes) {
    const input = subject.prepare(textOf(attack, size));
    let ms = Infinity;
    for (let i = 0; i < repetitions && !(i > 1 && ms > HOPELESS_MS); i++) {
      ms = Math.min(ms, timeOnce(subject, input));
    }
    const growth = ms > JUDGED_MS ? ms / (times.get(size / 4) ?? ms) : 1;
    times.set(size, ms);
    // A little too much once may be the memory that is taken beyond some size.
    const grows = growth > MAX_GROWTH &&
      (grew > MAX_GROWTH || ms > 4 * JUDGED_MS && growth > 1.5 * MAX_GROWTH);
    if (ms > (subject.maxMs ?? MAX_MS) || grows) {
      const told = [...times.values()].map((time) => time.toFixed(2)).join(" ");
      return `${shown(attack)} takes ${told} ms at ${[...times.keys()].join(" ")} characters`;
    }
    grew = growth;
  }
  return null;
}

function timeOnce(subject: Subject, input: unknown): number {
  const started = performance.now();
  try {
    subject.call(input as never);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
  return performance.now() - started;
}

/** One flat text, so that putting it together is not measured. */
function textOf({ before, after, run }: Attack, size: number): string {
  const whole = before + run.make(size) + after;
  whole.charCodeAt(0);
  return whole;
}

/** What hardly anything allows: only who fails at the end of a run has tried all ways to read it. */
const MISFIT = '\u2028"x';

/** Before and behind each sign; also with a misfit right behind the run, or at the end of its line. */
function placesOf(sample: string): Omit<Attack, "run">[] {
  const places: Omit<Attack, "run">[] = [];
  for (let at = 0; at <= sample.length; at++) {
    if (/^[a-z0-9]{2}$/i.test(sample.slice(at - 1, at + 1)) && at > 1) continue;
    const [before, after] = [sample.slice(0, at), sample.slice(at)];
    const end = /\r?\n|$/.exec(after)!.index;
    places.push({ before, after }, { before, after: MISFIT + after });
    places.push({ before, after: after.slice(0, end) + MISFIT + after.slice(end) });
  }
  return places;
}

function repeated(piece: string): Run {
  return { shown: JSON.stringify(piece), make: (length) => piece.repeat(Math.ceil(length / piece.length)) };
}

function distinct([before, after]: readonly [string, string]): Run {
  const made = new Map<number, string>();
  const make = (length: number): string => {
    let text = made.get(length) ?? "";
    for (let i = 0; text.length < length; i++) text += before + i.toString(36) + after;
    made.set(length, text);
    return text;
  };
  return { shown: `${JSON.stringify(before)} N ${JSON.stringify(after)}`, make };
}

function pairsOf(alphabet: readonly string[]): Run[] {
  return alphabet.flatMap((first) => alphabet.map((second) => repeated(first + second)));
}

function shown({ before, after, run }: Attack): string {
  return `${run.shown} between ${JSON.stringify(before.slice(-40))} and ${
    JSON.stringify(after.slice(0, 40))
  }`;
}
