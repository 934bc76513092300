// G.711 passed through both ways: regrouping, laws, gaps.

import assert from "node:assert/strict";
import { concatBytes } from "../../lib/base/bytes.ts";
import { linearToAlaw, linearToUlaw, ulawToLinear } from "../../lib/codecs/g711_tables.ts";
import { audioFrame, packetizer, receiver, type Sent } from "../support/audio_packets.ts";

for (const sizes of [[160], [320], [80], [240], [1024], [1, 7, 500, 3, 160, 161, 159]]) {
  Deno.test(`G.711 in tags of ${sizes} octets leaves in packets of 20 ms with every octet in order`, () => {
    const { clock, send } = packetizer("pcma", 8000);
    const whole = Uint8Array.from({ length: 16000 }, (_, i) => i * 7 >> 2);
    const sent: Sent[] = [];
    let at = 0;
    for (let i = 0; at < 12000; i++) {
      const size = sizes[i % sizes.length]!;
      sent.push(...send(audioFrame("pcma", Math.floor(at / 8), whole.slice(at, at + size))));
      clock.advance(size / 8);
      at += size;
    }
    const bytes = concatBytes(sent.map((packet) => packet.payload));
    assert.ok(bytes.length > 11800);
    assert.deepEqual(bytes, whole.slice(0, bytes.length));
    sent.forEach((packet, i) => {
      assert.deepEqual([packet.payload.length, packet.timestamp, packet.marker], [160, 160 * i, i === 0]);
    });
  });
}

Deno.test("what is left of G.711 before a gap leaves filled up with silence", () => {
  const { clock, send } = packetizer("pcmu", 8000);
  assert.equal(send(audioFrame("pcmu", 0, new Uint8Array(200).fill(1))).length, 1);
  clock.advance(1000);
  const sent = send(audioFrame("pcmu", 1000, new Uint8Array(160).fill(2)));
  assert.deepEqual(sent.map((packet) => [packet.timestamp, packet.marker]), [[160, false], [8000, true]]);
  assert.deepEqual([...sent[0]!.payload], [...Array(40).fill(1), ...Array(120).fill(0xff)]);
});

Deno.test("the packet time of the peer sizes G.711 packets", () => {
  const { send } = packetizer("pcmu", 8000, 30);
  assert.deepEqual(send(audioFrame("pcmu", 0, new Uint8Array(480))).map((packet) => packet.payload.length), [
    240,
    240,
  ]);
  assert.equal(packetizer("pcmu", 8000, 1e9).send(audioFrame("pcmu", 0, new Uint8Array(1600))).length, 1);
});

Deno.test("G.711 of the other law and stereo G.711 arrive as what the peer agreed to", () => {
  const law = packetizer("pcma", 8000).send(
    audioFrame("pcmu", 0, new Uint8Array(160).fill(linearToUlaw(1000))),
  );
  assert.deepEqual(law[0]!.payload, new Uint8Array(160).fill(linearToAlaw(ulawToLinear(linearToUlaw(1000)))));
  const stereo = Uint8Array.from({ length: 320 }, (_, i) => linearToUlaw(i % 2 === 0 ? 8000 : -8000));
  const mixed = packetizer("pcmu", 8000).send(audioFrame("pcmu", 0, stereo, 0x83));
  assert.deepEqual(mixed.map((packet) => packet.payload), [new Uint8Array(160).fill(linearToUlaw(0))]);
});

Deno.test("a G.711 tag beyond two seconds is dropped", () => {
  const { packetizer: made, send } = packetizer("pcmu", 8000);
  assert.deepEqual(send(audioFrame("pcmu", 0, new Uint8Array(16001))), []);
  assert.equal(made.dropped, 1);
});

for (const size of [160, 80, 240, 320, 33]) {
  Deno.test(`G.711 from RTP packets of ${size} octets becomes tags of 20 ms`, () => {
    const { clock, receive } = receiver("pcmu", 8000);
    const whole = Uint8Array.from({ length: 4800 }, (_, i) => i >> 3);
    const frames: ReturnType<typeof receive> = [];
    for (let at = 0; at < whole.length; at += size) {
      frames.push(...receive(whole.slice(at, at + size), 1000 + at));
      clock.advance(size / 8);
    }
    assert.ok(frames.length >= 29);
    frames.forEach((frame, i) => {
      assert.equal(frame.timeMs, frames[0]!.timeMs + 20 * i);
      assert.deepEqual(frame.data, whole.slice(160 * i, 160 * i + 160));
    });
  });
}

Deno.test("lost G.711 packets leave a gap in time, and a new source goes on from now", () => {
  const { clock, receive, restart } = receiver("pcma", 8000);
  const block = new Uint8Array(160);
  const seen: number[] = [];
  const take = (timestamp: number, octets = block): void => {
    for (const frame of receive(octets, timestamp)) seen.push(frame.timeMs);
  };
  take(0);
  clock.advance(60);
  take(480);
  clock.advance(20);
  take(640, new Uint8Array(40)); // held, and dropped with its source
  clock.advance(20);
  restart();
  take(9);
  assert.deepEqual(seen, [0, 60, 100]);
});
