import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { lookUpAddress } from "../../lib/net/look_up.ts";
import { FakeClock } from "../support/fake_clock.ts";

type Answer = string[] | "silent" | "broken";

function dns(a: Answer, aaaa: Answer) {
  const ask = (answer: Answer) => () =>
    answer === "silent"
      ? new Promise<string[]>(() => {})
      : answer === "broken"
      ? Promise.reject(new TransportError("no server", "timeout"))
      : Promise.resolve(answer);
  return { a: ask(a), aaaa: ask(aaaa) };
}

const TABLE: readonly (readonly [a: Answer, aaaa: Answer, family: 4 | 6, found: string | null])[] = [
  [["192.0.2.5", "192.0.2.6"], ["2001:db8::5"], 4, "192.0.2.5"],
  [["192.0.2.5"], ["2001:db8::5"], 6, "2001:db8::5"],
  [[], ["2001:db8::5"], 4, "2001:db8::5"],
  [["192.0.2.5"], [], 6, "192.0.2.5"],
  [["192.0.2.5"], "silent", 4, "192.0.2.5"],
  [["192.0.2.5"], "broken", 6, "192.0.2.5"],
  ["broken", "broken", 4, null],
  [[], [], 4, null],
  [["0.0.0.0"], ["::"], 4, null],
  ["silent", ["2001:db8::5"], 4, null],
  ["silent", "silent", 6, null],
];

for (const [a, aaaa, family, found] of TABLE) {
  Deno.test(`look up: IPv${family} with A ${a} and AAAA ${aaaa}`, async () => {
    const clock = new FakeClock();
    const looking = lookUpAddress("x", family, { dns: dns(a, aaaa), clock, withinMs: 2000 });
    await clock.advanceAsync(2000);
    assert.equal(await looking, found);
    assert.equal(clock.pending, 0);
  });
}
