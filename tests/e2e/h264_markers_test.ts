// A phone whose markers do not end its pictures, over real sockets: the client is sent what a phone with
// right markers gives.

import assert from "node:assert/strict";
import { avc, PPS, slice, SPS } from "../support/media_h264.ts";
import { openRawPhone, rawAnswer } from "../support/raw_phone.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { rtpBytes } from "../support/rtp_packets.ts";
import { startGateway } from "../support/test_gateway.ts";
import { toHex } from "../support/hex.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Pictures of three slices; the first brings its parameter sets. */
const PICTURES: readonly (readonly Uint8Array[])[] = Array.from({ length: 12 }, (_, i) => {
  const slices = [0, 1, 2].map((n) => slice(i === 0 ? "I" : "P", 300, { first: n === 0, seed: 10 * i + n }));
  return i === 0 ? [SPS, PPS, ...slices] : slices;
});

const MARKINGS: [name: string, marker: (at: number, count: number) => boolean, heard: number][] = [
  ["on the last slice", (at, count) => at === count - 1, 12],
  ["on every slice", () => true, 12],
  ["on the first slice as well", (at, count) => at === 0 || at === count - 1, 12],
  ["never", () => false, 11],
];

for (const [name, marker, heard] of MARKINGS) {
  Deno.test(`H.264 with its marker ${name}: each picture comes once, whole`, async () => {
    await using running = await startGateway();
    await using client = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
    using desk = openRawPhone();
    using screen = openRawPhone();
    client.client.send("invite", `sip:desk@127.0.0.1:${desk.port}`, "pcmu", "h264");
    const invite = await desk.receive(/^INVITE /);
    assert.match(
      invite,
      /^a=fmtp:99 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1\r$/m,
    );
    const video = `$m=video ${screen.rtpPort} RTP/AVP 99$a=rtpmap:99 H264/90000$` +
      "a=fmtp:99 profile-level-id=42e01f;packetization-mode=1";
    desk.send(rawAnswer(desk, invite, `0${video}`), running.gateway.sipPort);
    await client.expect("accepted");
    const port = Number(/^m=video (\d+)/m.exec(invite)?.[1]);
    let sequenceNumber = 7;
    for (const [i, nals] of PICTURES.entries()) {
      nals.forEach((payload, at) => {
        const packet = { payloadType: 99, sequenceNumber: sequenceNumber++, timestamp: i * 3600, payload };
        screen.sendRtp(rtpBytes({ ...packet, marker: marker(at, nals.length) }), port);
      });
      await pause(40);
    }
    await pause(400);
    const pictures = client.heard.filter(({ type, body }) => type === 9 && body[1] === 1);
    assert.deepEqual(
      pictures.map(({ body }) => toHex(body.subarray(5))),
      PICTURES.slice(0, heard).map((nals) => toHex(avc(nals.slice(-3)))),
    );
    client.client.send("bye");
  });
}
