import assert from "node:assert/strict";
import { type AgreedStream, describedAddress, expectedPayloadTypes } from "../../lib/rtp/described_peer.ts";

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

Deno.test("described peer: an address is sent to, a name that is left is not", () => {
  const at = (hostname: string) => ({ hostname, port: 4000 });
  assert.equal(describedAddress(null), null);
  for (const address of ["192.0.2.5", "2001:db8::5", "::ffff:192.0.2.5"]) {
    assert.deepEqual(describedAddress(at(address)), at(address));
  }
  for (const name of ["localhost", "media_1.example.com", "", "1.2.3", "[2001:db8::5]"]) {
    assert.equal(describedAddress(at(name)), "unknown");
  }
});
