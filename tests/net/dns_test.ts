// What is answered without asking anybody; names under .invalid (RFC 6761) for "not found".

import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { type DnsResolver, lookUpAddress, systemDns } from "../../lib/net/dns.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("localhost and addresses are answered without a query", async () => {
  const table: [string, string[], string[]][] = [
    ["localhost", ["127.0.0.1"], ["::1"]],
    ["LocalHost.", ["127.0.0.1"], ["::1"]],
    ["phone.localhost", ["127.0.0.1"], ["::1"]],
    ["192.0.2.7", ["192.0.2.7"], []],
    ["2001:db8::7", [], ["2001:db8::7"]],
    ["", [], []],
    [".", [], []],
  ];
  for (const [name, a, aaaa] of table) {
    assert.deepEqual(await systemDns.a(name), a, name);
    assert.deepEqual(await systemDns.aaaa(name), aaaa, name);
  }
  for (const name of ["localhost", "_sip._udp.localhost", "192.0.2.7", "::1", ""]) {
    assert.deepEqual(await systemDns.srv(name), []);
    assert.deepEqual(await systemDns.naptr(name), []);
  }
});

Deno.test("what does not exist is an empty list; a dead name server is a TransportError", async () => {
  const asks: [keyof DnsResolver, string][] = [
    ["a", "nothing.invalid"],
    ["aaaa", "nothing.invalid."],
    ["srv", "_sip._udp.nothing.invalid"],
    ["naptr", "nothing.invalid"],
  ];
  for (const [kind, name] of asks) {
    try {
      assert.deepEqual(await systemDns[kind](name), [], kind);
    } catch (error) {
      // A build machine may have no name server at all.
      assert.ok(error instanceof TransportError, `${kind}: ${error}`);
      assert.match(error.message, /^Cannot look up /);
    }
  }
});

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
