// The bench's arithmetic: medians, and ratios of adjacent slices in an alternating series.
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

/** The slope of the straight line nearest to the points (least squares); null unless two of them differ in x. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number | null {
  const mean = (pick: 0 | 1): number => points.reduce((sum, point) => sum + point[pick], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  let [both, square] = [0, 0];
  for (const [x, y] of points) {
    both += (x - meanX) * (y - meanY);
    square += (x - meanX) ** 2;
  }
  return square > 0 ? both / square : null;
}
