// One address of a host, in time: for what has to be answered, known name or not.
// Role: edge

import { type Clock, delay } from "../base/clock.ts";
import { TransportError } from "../base/errors.ts";
import type { DnsResolver } from "./dns.ts";
import { isIpAddress, isUnspecified } from "./endpoint.ts";

export interface LookUpOptions {
  readonly dns: Pick<DnsResolver, "a" | "aaaa">;
  readonly clock: Clock;
  /** How long it may take. */
  readonly withinMs: number;
}

/** An address of the family if there is one, else of the other; null when nobody says one in time. */
export async function lookUpAddress(
  name: string,
  family: 4 | 6,
  { dns, clock, withinMs }: LookUpOptions,
): Promise<string | null> {
  const over = new AbortController();
  const limit = delay(clock, withinMs, over.signal).then(() => null);
  const [v4, v6] = [firstOf(dns.a(name)), firstOf(dns.aaaa(name))];
  const both = family === 6 ? [v6, v4] as const : [v4, v6] as const;
  const address = await Promise.race([both[0].then(async (found) => found ?? await both[1]), limit]);
  over.abort();
  await limit;
  return address;
}

/** A name server that fails knows nothing, and one that says "everywhere" says nothing. */
async function firstOf(answer: Promise<string[]>): Promise<string | null> {
  try {
    return (await answer).find((address) => isIpAddress(address) && !isUnspecified(address)) ?? null;
  } catch (error) {
    if (error instanceof TransportError) return null;
    throw error;
  }
}
