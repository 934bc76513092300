// Peers' quirks in RTP, named after the peer that is known for them; those of SIP are in tests/sip/ua/peer_quirks_test.ts.

import assert from "node:assert/strict";
import { decodeRtp, RtpView } from "../../lib/rtp/packet.ts";
import { hex } from "../support/hex.ts";

const PAYLOAD = hex`01 02 03 04`;

/** Padding as it is on the wire after the payload. */
const PADDINGS: [what: string, padding: Uint8Array][] = [
  ["one byte", hex`01`],
  ["to a multiple of four", hex`00 00 00 04`],
  ["with a body of its own", hex`de ad be ef 99 06`],
  ["255 bytes", new Uint8Array(255).fill(0xff)],
];

for (const [what, padding] of PADDINGS) {
  Deno.test(`quirk of Ekiga: RTP padding, ${what}, is cut off`, () => {
    const bytes = new Uint8Array([...hex`a0 00 0007 00000140 11223344`, ...PAYLOAD, ...padding]);
    assert.deepEqual([...decodeRtp(bytes).payload], [...PAYLOAD]);
    const view = new RtpView();
    assert.equal(view.decode(bytes), true);
    assert.deepEqual([...bytes.subarray(view.payloadStart, view.payloadEnd)], [...PAYLOAD]);
  });
}

Deno.test("quirk of Ekiga: padding that would leave less than nothing is no packet", () => {
  const bytes = new Uint8Array([...hex`a0 00 0007 00000140 11223344`, ...PAYLOAD, 0, 9]);
  assert.equal(new RtpView().decode(bytes), false);
});
