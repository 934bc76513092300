// The bench's arithmetic: medians, and ratios of neighbours in an alternating series.
// Role: machine

/** The middle value, or the mean of the two middle ones; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The middle of the ratios of each pair: what disturbs both slices of a pair leaves their ratio alone. */
export function medianRatio(above: readonly number[], below: readonly number[]): number {
  return median(above.slice(0, below.length).map((value, i) => value / below[i]!));
}

/** Lost share of what was sent; more received than sent is none lost. */
export function lossOf(sent: number, received: number): number {
  return sent === 0 ? 0 : Math.max(0, sent - received) / sent;
}

/** How far the ratios of a series lie apart, as a share of their median: (largest - smallest) / median. */
export function spread(values: readonly number[]): number {
  if (values.length === 0) return 0;
  return (Math.max(...values) - Math.min(...values)) / median(values);
}
