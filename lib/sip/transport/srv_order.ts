// The order in which SRV records are tried (RFC 2782): by priority, and at random by weight within one priority.
// Role: wire

import type { Random } from "../../base/random.ts";

export interface SrvWeight {
  /** Smaller first. */
  readonly priority: number;
  /** Share of the choices within one priority. */
  readonly weight: number;
}

/** Sorts SRV records for one attempt. */
export function orderSrv<T extends SrvWeight>(records: readonly T[], random: Random): T[] {
  const priorities = [...new Set(records.map((record) => record.priority))].sort((a, b) => a - b);
  return priorities.flatMap((priority) =>
    orderByWeight(records.filter((record) => record.priority === priority), random)
  );
}

function orderByWeight<T extends SrvWeight>(records: readonly T[], random: Random): T[] {
  // Weight 0 comes first, so that it has its small chance when the random sum is 0.
  const left = records.filter((record) => record.weight === 0).concat(
    records.filter((record) => record.weight > 0),
  );
  const ordered: T[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, record) => sum + record.weight, 0);
    const chosen = Math.floor(random.float() * (total + 1));
    let sum = 0;
    const at = left.findIndex((record) => (sum += record.weight) >= chosen);
    ordered.push(...left.splice(at, 1));
  }
  return ordered;
}
