// The nearest of a list of names to one that was mistyped, for "did you mean" in messages.
// Distance: insertions, deletions, changed letters and swapped neighbours, as Damerau counted them.
// Answers to: nothing in siprtmp, which said "no such option".
// Role: wire

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
