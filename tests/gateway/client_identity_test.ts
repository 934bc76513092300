import assert from "node:assert/strict";
import fc from "fast-check";
import type { AmfValue } from "../../lib/amf/value.ts";
import { type ClientIdentity, identityOf } from "../../lib/gateway/client_identity.ts";
import { identityAddress } from "../../lib/sip/ua/identity.ts";
import { formatNameAddr } from "../../lib/sip/message/name_addr.ts";
import { formatSipUri } from "../../lib/sip/message/uri.ts";

type Accepted = Extract<ClientIdentity, { type: "accepted" }>;

function accepted(address: string, ...args: AmfValue[]): Accepted {
  const identity = identityOf(address, args);
  assert.ok(identity.type === "accepted", JSON.stringify(identity));
  return identity;
}

function summary({ identity, rate }: Accepted): (string | null)[] {
  return [identity.username, identity.password, formatNameAddr(identityAddress(identity)), rate];
}

const CONNECTS: [args: AmfValue[], expected: (string | null)[]][] = [
  [[], ["alice", null, "<sip:alice@example.com>", "wideband"]],
  [[null, "", null], ["alice", null, "<sip:alice@example.com>", "wideband"]],
  [["al", "secret"], ["al", "secret", "<sip:alice@example.com>", "wideband"]],
  [["al", "secret", "Alice B"], ["al", "secret", '"Alice B" <sip:alice@example.com>', "wideband"]],
  [["al", "secret", "A", "narrowband"], ["al", "secret", '"A" <sip:alice@example.com>', "narrowband"]],
  [["al", "secret", "A", "wideband"], ["al", "secret", '"A" <sip:alice@example.com>', "wideband"]],
  [["al", "secret", "A", "something else"], ["al", "secret", '"A" <sip:alice@example.com>', "wideband"]],
  [[1001, 1234], ["1001", "1234", "<sip:alice@example.com>", "wideband"]],
  [[undefined, { a: 1 }, [1]], ["alice", null, "<sip:alice@example.com>", "wideband"]],
  [[true, NaN], ["alice", null, "<sip:alice@example.com>", "wideband"]],
];

for (const [args, expected] of CONNECTS) {
  Deno.test(`connect(${JSON.stringify(args).slice(1, -1)}) is ${expected.join(" ")}`, () => {
    assert.deepEqual(summary(accepted("alice@example.com", ...args)), expected);
  });
}

Deno.test("the address keeps its port, its transport and an IPv6 host", () => {
  for (const address of ["alice@example.com:5070", "alice@[2001:db8::1]", "a@example.com;transport=tcp"]) {
    assert.equal(formatSipUri(accepted(address).identity.aor), `sip:${address}`);
  }
});

for (const address of ["alice@", "alice@exa mple", "alice@host:99999", "alice@[::1", "@"]) {
  Deno.test(`"${address}" is rejected in plain words`, () => {
    const identity = identityOf(address, []);
    assert.ok(identity.type === "rejected");
    assert.match(identity.reason, /is not a SIP address/);
  });
}

for (const index of [0, 1, 2, 3]) {
  Deno.test(`connect argument ${index} may have 256 characters, not more`, () => {
    const args: AmfValue[] = [null, null, null, null];
    args[index] = "x".repeat(256);
    assert.equal(identityOf("alice@example.com", args).type, "accepted");
    args[index] = "x".repeat(257);
    assert.deepEqual(identityOf("alice@example.com", args), {
      type: "rejected",
      reason: "a connect argument is too long",
    });
  });
}

Deno.test("nothing a client sends makes a second header line", () => {
  const address = formatNameAddr(identityAddress(
    accepted("alice@example.com", "al", "pw", 'A"\r\nRoute: <sip:evil@x>').identity,
  ));
  assert.ok(!/[\r\n]/.test(address), address);
});

Deno.test("any arguments give an identity or a reason, never an exception", () => {
  const value = fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null), fc.constant(undefined));
  fc.assert(fc.property(fc.string(), fc.array(value, { maxLength: 6 }), (address, args) => {
    const identity = identityOf(address, args);
    assert.ok(identity.type === "accepted" || identity.reason.length > 0);
  }));
});
