// Pauses of the garbage collector out of what V8 prints with --trace-gc.
// Role: wire
//
//   [pid:isolate]  1234 ms: Scavenge 9.3 (12.7) -> 8.5 (13.7) MB, pooled: 0.0 MB, 3.15 / 0.00 ms ...
//   [pid:isolate]  5678 ms: Mark-Compact 18.1 (22.3) -> 7.9 (21.1) MB, pooled: 0.0 MB, 4.02 / 0.00 ms ...

/** One collection. */
export interface Collection {
  /** When, in ms since the start of the program. */
  readonly atMs: number;
  /** Which: Scavenge is the small one. */
  readonly kind: "Scavenge" | "Mark-Compact";
  /** How long the program stood still, in ms. */
  readonly pauseMs: number;
  /** Live bytes after it, in MB. */
  readonly afterMb: number;
}

const LINE =
  /\]\s+(\d+) ms: (?:(Scavenge|Minor Mark-Sweep)|(?:Incremental )?Mark-Compact)[^>]*-> ([\d.]+) \([\d.]+\) MB.*?, ([\d.]+) \/ [\d.]+ ms/;

/** Null for a line that says something else. */
export function parseCollection(line: string): Collection | null {
  const match = LINE.exec(line);
  if (match === null) return null;
  return {
    atMs: Number(match[1]),
    kind: match[2] === undefined ? "Mark-Compact" : "Scavenge",
    afterMb: Number(match[3]),
    pauseMs: Number(match[4]),
  };
}

/** What is told of many. */
export interface GcSummary {
  readonly count: number;
  readonly maxMs: number;
  readonly totalMs: number;
}

/** Adds up. */
export function summarizeCollections(collections: readonly Collection[]): GcSummary {
  const pauses = collections.map(({ pauseMs }) => pauseMs);
  return {
    count: pauses.length,
    maxMs: Math.max(0, ...pauses),
    totalMs: pauses.reduce((sum, ms) => sum + ms, 0),
  };
}
