// Lists of tables in the configuration file, [[dial]] and [[account]]; "did you mean" for names that were mistyped.
// Role: wire

/** The rules, or what is wrong with one; the problem reads well after the table's name, `at` is the rule and key. */
export type ParsedTable<Rule> =
  | { readonly type: "rules"; readonly rules: readonly Rule[] }
  | { readonly type: "wrong"; readonly problem: string; readonly at: readonly (string | number)[] };

export interface TableReader<Rule extends object> {
  readonly example: string;
  /** Rules at most. */
  readonly maxRules: number;
  readonly keys: readonly string[];
  readonly readRule: (entry: Readonly<Record<string, unknown>>) => Rule | string;
}

/** Reads a list of tables; never throws. */
export function parseTable<Rule extends object>(
  value: unknown,
  reader: TableReader<Rule>,
): ParsedTable<Rule> {
  if (!Array.isArray(value)) return wrong(`must be written as ${reader.example}`);
  if (value.length > reader.maxRules) return wrong(`has more than ${reader.maxRules} rules`);
  const rules: Rule[] = [];
  for (const [index, entry] of value.entries()) {
    const rule = readEntry(entry, reader);
    if (typeof rule === "string") {
      return wrong(`rule ${index + 1}: ${rule}`, [index, ...keyAtFault(rule, entry)]);
    }
    rules.push(rule);
  }
  return { type: "rules", rules };
}

function readEntry<Rule extends object>(entry: unknown, reader: TableReader<Rule>): Rule | string {
  if (typeof entry !== "object" || entry === null) return `must be written as ${reader.example}`;
  const unknown = Object.keys(entry).find((key) => !reader.keys.includes(key));
  if (unknown !== undefined) {
    const meant = nearest(unknown, reader.keys);
    return `${unknownKey(unknown)}; ${
      meant === null ? `a rule has ${listed(reader.keys)}` : `did you mean ${meant}?`
    }`;
  }
  return reader.readRule(entry as Readonly<Record<string, unknown>>);
}

function listed(keys: readonly string[]): string {
  return [keys.slice(0, -1).join(", "), ...keys.slice(-1)].filter((part) => part !== "").join(" and ");
}

function wrong(
  problem: string,
  at: readonly (string | number)[] = [],
): ParsedTable<never> & { type: "wrong" } {
  return { type: "wrong", problem, at };
}

/** The first key of the rule that the problem names; none when it is about a missing one. */
function keyAtFault(problem: string, entry: unknown): string[] {
  const keys = typeof entry === "object" && entry !== null ? Object.keys(entry) : [];
  const unknown = keys.find((key) => problem.startsWith(unknownKey(key)));
  if (unknown !== undefined) return [unknown];
  const named = problem.split(/[^\w-]+/).find((word) => keys.includes(word));
  if (named === undefined) return [];
  const table = (entry as Readonly<Record<string, unknown>>)[named];
  const within = typeof table === "object" && table !== null ? Object.keys(table) : [];
  return [named, ...within.filter((key) => problem.includes(`"${key}"`)).slice(0, 1)];
}

function unknownKey(key: string): string {
  return `has ${key}, which is unknown`;
}

/** Longest name worth comparing: keeps the work bounded whatever was written. */
const MAX_NAME_LENGTH = 40;

/** The name nearest to `written`, or null when none is near; case, `_` and `-` do not count. */
export function nearest(written: string, names: readonly string[]): string | null {
  const wanted = plain(written);
  if (wanted.length > MAX_NAME_LENGTH) return null;
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const name of names) {
    const distance = distanceBetween(wanted, plain(name));
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best;
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, "");
}

function distanceBetween(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(change, at(last, j) + 1, at(row, j - 1) + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      row.push(cost);
    }
    [beforeLast, last] = [last, row];
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? 0;
}
