// Early media: an SBC that opens only when it is sent to gets silence from the 183 on, then the client's own audio in the
// same stream.

import assert from "node:assert/strict";
import { decodeRtp } from "../../lib/rtp/packet.ts";
import { openRawPhone, rawAnswer, type RawPhone } from "../support/raw_phone.ts";
import { RtmpPhone, speak } from "../support/rtmp_phone.ts";
import { startGateway } from "../support/test_gateway.ts";

const SILENCE: readonly (readonly [codec: string, format: string, sdpLines: string, hex: RegExp])[] = [
  ["pcmu", "0", "", /^(ff){160}$/],
  ["pcma", "8", "", /^(d5){160}$/],
  ["wideband", "96", "a=rtpmap:96 speex/16000$", /^043f$/],
  ["opus", "107", "a=rtpmap:107 opus/48000/2$", /^f8fffe$/],
];

async function packets(phone: RawPhone, count: number) {
  const got = [];
  for (let i = 0; i < count; i++) {
    const { payload, ...header } = decodeRtp(await phone.receiveRtp());
    got.push({ ...header, hex: payload.toHex() });
  }
  return got;
}

for (const [codec, format, sdpLines, hex] of SILENCE) {
  Deno.test(`early media with ${codec}: silence from the 183 on, without a packet of the remote party`, async () => {
    await using running = await startGateway();
    await using user = await RtmpPhone.connect({
      url: running.url(`user@127.0.0.1:${running.gateway.sipPort}`),
    });
    using phone = openRawPhone();
    user.client.send("invite", `sip:sbc@127.0.0.1:${phone.port}`, codec);
    const invite = await phone.receive(/^INVITE/);
    phone.send(
      rawAnswer(phone, invite, format, { status: "183 Session Progress", sdpLines }),
      running.gateway.sipPort,
    );
    const early = await packets(phone, 12);
    assert.deepEqual([...new Set(early.map(({ payloadType }) => payloadType))], [Number(format)]);
    for (const { hex: payload } of early) assert.match(payload, hex);
    assert.deepEqual(early.map(({ marker }) => marker), [true, ...Array(11).fill(false)]);
  });
}

Deno.test("early media: the client's audio takes over after the 200 in the same stream, and silence ends", async () => {
  await using running = await startGateway();
  const { sipPort } = running.gateway;
  await using user = await RtmpPhone.connect({ url: running.url(`user@127.0.0.1:${sipPort}`) });
  using phone = openRawPhone();
  user.client.send("invite", `sip:sbc@127.0.0.1:${phone.port}`, "pcmu");
  const invite = await phone.receive(/^INVITE/);
  phone.send(rawAnswer(phone, invite, "0", { status: "183 Session Progress" }), sipPort);
  const early = await packets(phone, 5);
  phone.send(rawAnswer(phone, invite, "0"), sipPort);
  await user.expect("accepted");
  await speak(user.speaking, { tag: 0x82, count: 20, size: 160 });
  const all = [...early];
  const spoken = () => all.filter(({ hex }) => hex.startsWith("00")).length;
  while (spoken() < 20) all.push(...await packets(phone, 1));
  const first = all.findIndex(({ hex }) => hex.startsWith("00"));
  assert.ok(all.slice(first).every(({ hex }) => !hex.startsWith("ff")), "silence between words");
  assert.ok(all[first]!.marker);
  all.forEach((packet, i) => {
    if (i === 0) return;
    assert.equal(packet.sequenceNumber, all[i - 1]!.sequenceNumber + 1 & 0xffff);
    const step = packet.timestamp - all[i - 1]!.timestamp | 0;
    assert.ok(step >= 0 && step < 8000, `timestamps step by ${step}`);
    assert.equal(packet.ssrc, all[0]!.ssrc);
  });
});
