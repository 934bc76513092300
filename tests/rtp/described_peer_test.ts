import assert from "node:assert/strict";
import {
  type AgreedStream,
  describedAddress,
  expectedPayloadTypes,
  isSomebodyElse,
} from "../../lib/rtp/described_peer.ts";

Deno.test("described peer: the payload types of every agreed format, by both sides' numbers", () => {
  const format = (sendPayloadType: number, receivePayloadType = sendPayloadType) => ({
    sendPayloadType,
    receivePayloadTypes: [receivePayloadType],
  });
  const agreed: AgreedStream = {
    remote: null,
    rtcpRemote: null,
    formats: [format(0), format(110, 96)],
    telephoneEvents: [format(101)],
    comfortNoise: [format(13)],
    redundancy: format(121, 100),
  };
  assert.deepEqual([...expectedPayloadTypes(agreed)].sort((a, b) => a - b), [0, 13, 96, 100, 101, 110, 121]);
  const bare = { ...agreed, telephoneEvents: [], comfortNoise: [], redundancy: null };
  assert.deepEqual([...expectedPayloadTypes(bare)], [0, 110, 96]);
});

const at = (hostname: string) => ({ hostname, port: 4000 });

Deno.test("described peer: an address is sent to, a name that is left is not", () => {
  assert.deepEqual(describedAddress(null, []), { at: null, problem: null });
  for (const address of ["192.0.2.5", "2001:db8::5", "::ffff:192.0.2.5"]) {
    assert.deepEqual(describedAddress(at(address), []), { at: at(address), problem: null });
  }
  for (const name of ["localhost", "media_1.example.com", "", "1.2.3", "[2001:db8::5]"]) {
    const { at: where, problem } = describedAddress(at(name), []);
    assert.deepEqual([where, problem], ["unknown", `"${name}" is no address`]);
  }
});

Deno.test("described peer: what may not be sent to is not, for this peer", () => {
  const asked: (string | null)[] = [];
  const guard = {
    refusal: (to: { hostname: string }, askedBy: string | null) => {
      asked.push(askedBy);
      return to.hostname === "127.0.0.1" && askedBy !== "127.0.0.1" ? "not here" : null;
    },
  };
  const judged = (signalling: string[]) => describedAddress(at("127.0.0.1"), signalling, guard);
  assert.deepEqual(judged(["203.0.113.9", "127.0.0.1"]), { at: "unknown", problem: "not here" });
  assert.deepEqual(judged(["127.0.0.1"]), { at: at("127.0.0.1"), problem: null });
  assert.deepEqual(judged([]).at, "unknown", "nobody knows who said so");
  assert.deepEqual(asked, ["203.0.113.9", "127.0.0.1", ""]);
});

Deno.test("described peer: who has us send to somebody else", () => {
  const TABLE: readonly (readonly [described: string, signalling: string[], somebodyElse: boolean])[] = [
    ["192.0.2.5", ["192.0.2.5"], false],
    ["192.0.2.5", ["203.0.113.9", "192.0.2.5"], false],
    ["192.0.2.5", ["::ffff:192.0.2.5"], false],
    ["192.0.2.5", ["203.0.113.9"], true],
    ["2001:db8::5", ["2001:db8:0:0::5"], false],
    ["192.0.2.5", [], false],
  ];
  for (const [described, signalling, expected] of TABLE) {
    assert.equal(isSomebodyElse(at(described), signalling), expected, `${described} ${signalling}`);
  }
  assert.equal(isSomebodyElse(null, ["192.0.2.5"]), false);
});
