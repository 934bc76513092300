// Call-in lines over real sockets: a SIP phone calls an account of the gateway, RTMP programs hear it and speak to it.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import type { Call } from "../../lib/sip/ua/call.ts";
import type { SipEndpoint } from "../../lib/sip/ua/endpoint.ts";
import { clientFormat } from "../support/audio_formats.ts";
import { encodeG711 } from "../../lib/codecs/g711_tables.ts";
import { measureTone } from "../../scripts/quality/measure.ts";
import { tone } from "../support/codecs_audio.ts";
import { mediaFormat } from "../../lib/sdp/media_format.ts";
import { avc, CONFIG, PPS, slice, SPS } from "../support/media_h264.ts";
import { createPhone, openPhones, PhoneLine, place } from "../support/sipd_phone.ts";
import { StreamProgram, until } from "../support/stream_program.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { audioTag, built, decodePayloads, encodeAudio, PlayerEar } from "../support/transcode_bench.ts";

const KEY = "a-key-of-sixteen-letters";

function account(more: string): string {
  return `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\n${more}\n`;
}

function urlOf({ gateway }: TestGateway, path: string): string {
  return `rtmp://127.0.0.1:${gateway.rtmp.port}/${path}`;
}

/** A caller with G.711 and one line. */
class Caller implements AsyncDisposable {
  readonly line: PhoneLine;
  readonly #phones: SipEndpoint = openPhones();
  readonly #gave = new AbortController();
  call: Call | null = null;
  status = 0;
  readonly statuses: number[] = [];

  constructor(line = new PhoneLine()) {
    this.line = line;
  }

  /** Calls the desk; resolves with the final status. */
  async dial({ gateway }: TestGateway): Promise<number> {
    const agent = createPhone(this.#phones, "caller", { hostname: "127.0.0.1", port: gateway.sipPort });
    const placed = await place(
      agent,
      `<sip:desk@127.0.0.1:${gateway.sipPort}>`,
      this.line.offer(),
      this.#gave.signal,
    );
    this.statuses.push(...placed.statuses);
    this.call = placed.call;
    if (placed.call !== null) this.line.take(placed.call.remoteBody);
    return this.status = placed.status;
  }

  /** Gives up before the answer. */
  cancel(): void {
    this.#gave.abort();
  }

  /** Says a tone in blocks of 20 ms. */
  async say(hz: number, milliseconds: number): Promise<void> {
    const samples = tone(hz, 8000, milliseconds);
    const octets = new Uint8Array(samples.length);
    encodeG711("pcmu", samples, octets);
    const startMs = systemClock.now();
    for (let at = 0; at < octets.length; at += 160) {
      const waitMs = startMs + at / 8 - systemClock.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      this.line.send(octets.subarray(at, at + 160), at, at === 0);
    }
  }

  /** What came in the last `milliseconds`, up to now. */
  heard(milliseconds: number): Int16Array {
    const payloads = this.line.received.slice(-milliseconds / 20).map(({ payload }) => payload);
    return decodePayloads({ codec: "pcmu", sampleRate: 8000 }, payloads);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.call?.hangUp();
    await this.line.close();
    await this.#phones[Symbol.asyncDispose]();
  }
}

function isTone(samples: Int16Array, hz: number, sampleRate: number, amplitude = 10000): void {
  const { levelDb, snrDb } = measureTone(samples, hz, sampleRate, amplitude);
  assert.ok(Math.abs(levelDb) < 1.5 && snrDb > 12, `${hz} Hz: ${levelDb} dB, SNR ${snrDb} dB`);
}

async function idle(running: TestGateway): Promise<void> {
  await until("nothing is left", () => {
    const { connections, calls, rtpPorts } = running.gateway.usage;
    return connections + calls + rtpPorts === 0;
  });
}

Deno.test({
  name:
    "answer auto: a player hears two calls one after the other, the caller hears a tone, then the publisher",
  ignore: !built,
}, async () => {
  await using running = await startGateway({}, account(`answer = "auto"\nwaiting = "tone"\nkey = "${KEY}"`));
  await using player = await StreamProgram.connect(urlOf(running, `line?key=${KEY}`));
  await player.play("desk");
  const heardAt: number[] = [];
  for (const hz of [1004, 700]) {
    await using caller = new Caller();
    assert.equal(await caller.dial(running), 200);
    heardAt.push(player.heard.length);
    await caller.say(hz, 1500);
    using ear = new PlayerEar();
    for (const { body } of player.audio.slice(heardAt.length === 1 ? 0 : -80)) {
      if (ear.sampleRate > 0 || body[1] === 0) ear.hear(body);
    }
    if (hz === 1004) {
      assert.deepEqual(
        [player.audio[0]?.body[0]! >> 4, player.audio[0]?.body[1]],
        [10, 0],
        "AAC, header first",
      );
      const heard = ear.all();
      isTone(heard.subarray(-0.9 * ear.sampleRate, -0.3 * ear.sampleRate), hz, ear.sampleRate);
      const waiting = caller.heard(1400);
      assert.ok(Math.max(...waiting) > 1500 && Math.max(...waiting) < 4000, "a gentle tone");
    } else {
      await using speaker = await StreamProgram.connect(urlOf(running, "line/desk"));
      await speaker.publish(`say?key=${KEY}`);
      const format = clientFormat("aac");
      const said = encodeAudio(format, tone(hz, format.sampleRate, 1500));
      speaker.send(8, 0, audioTag("aac", said.config!, true));
      await speaker.speak(said.packets.map((packet) => audioTag("aac", packet)), said.packetMs);
      isTone(caller.heard(700), hz, 8000);
    }
    await caller.call!.hangUp();
    await until(
      "the call is over",
      () => player.codes.filter((code) => code.endsWith("Call.Ended")).length > 0,
    );
  }
  const times = player.audio.map(({ timeMs }) => timeMs);
  assert.ok(times.every((timeMs, i) => i === 0 || timeMs >= times[i - 1]!), "times go on");
  assert.ok(!player.codes.includes("NetStream.Play.UnpublishNotify"), "the player stays");
  assert.equal(player.ended, false);
  await player.close();
  await idle(running);
});

const ULAW = new Uint8Array(161).fill(0x82);

Deno.test("answer on-publish: rings until somebody publishes, hung up 2 s after the publisher has left", async () => {
  await using running = await startGateway({}, account('answer = "on-publish"\ncodecs = "pcmu"'));
  await using caller = new Caller();
  const dialled = caller.dial(running);
  await until("it rings", () => /desk: call from .*$/m.test(running.lines()));
  await using busy = new Caller();
  assert.equal(await busy.dial(running), 486);
  await using program = await StreamProgram.connect(urlOf(running, "line"));
  await program.play("desk");
  await program.publish("desk/say");
  assert.equal(await dialled, 200);
  assert.ok(caller.statuses.includes(180));
  let timeMs = 0;
  await until("the caller hears it", () => {
    program.send(8, timeMs += 20, ULAW); // what is said before the ACK is there is not heard
    return caller.line.received.some(({ payload }) => payload[0] === 0x82);
  });
  await caller.say(1004, 200);
  await until("the program hears the caller", () => program.audio.length >= 10);
  assert.ok(program.audio.every(({ body }) => body[0] === 0x82 && body.length === 161), "G.711 as it is");
  program.stop();
  const leftMs = systemClock.now();
  await until("the caller is hung up on", () => caller.call?.ending?.by === "remote");
  assert.ok(systemClock.now() - leftMs > 1500);
  await program.close();
  await idle(running);
});

Deno.test("a caller who cancels before anybody publishes leaves the line free", async () => {
  await using running = await startGateway({}, account('answer = "on-publish"'));
  await using first = new Caller();
  const dialled = first.dial(running);
  await until("it rings", () => /desk: call from .*$/m.test(running.lines()));
  first.cancel();
  assert.equal(await dialled, 487);
  await until("that is told", () => /desk: call from .* cancelled$/m.test(running.lines()));
  await using second = new Caller();
  const again = second.dial(running);
  await using speaker = await StreamProgram.connect(urlOf(running, "line/desk"));
  await speaker.publish("say");
  assert.equal(await again, 200);
  await second.call!.hangUp();
  await until("the speaker is told", () => speaker.codes.includes("NetStream.Call.Ended"));
  assert.equal(speaker.ended, false, "it may wait for the next caller");
  await speaker.close();
  await idle(running);
});

Deno.test("the gateway stops while somebody is on the line: BYE, and players end", async () => {
  await using running = await startGateway({}, account('answer = "auto"'));
  await using caller = new Caller();
  await using player = await StreamProgram.connect(urlOf(running, "line"));
  await player.play("desk");
  assert.equal(await caller.dial(running), 200);
  await until("the caller hears silence", () => caller.line.received.length >= 5);
  await running.gateway[Symbol.asyncDispose]();
  await until("the caller is hung up on", () => caller.call?.ending?.by === "remote");
  await until("the player has ended", () => player.ended);
  await idle(running);
});

const H264 = mediaFormat(99, "H264", 90000, { fmtp: "profile-level-id=42c01e;packetization-mode=1" });

Deno.test("pictures pass both ways; who plays late begins with the configuration and a key frame", async () => {
  await using running = await startGateway({}, account('answer = "auto"'));
  await using caller = new Caller(new PhoneLine([H264], "video"));
  await using early = await StreamProgram.connect(urlOf(running, "line"));
  await early.play("desk");
  assert.equal(await caller.dial(running), 200);
  const key = slice("I", 100);
  for (const [i, nal] of [SPS, PPS, key].entries()) caller.line.send(nal, 3000, i === 2);
  caller.line.send(slice("P", 60), 6000, true);
  const pictures = (program: StreamProgram) => program.heard.filter(({ type }) => type === 9);
  await until("the early player sees two pictures", () => pictures(early).length === 3);
  await using late = await StreamProgram.connect(urlOf(running, "line"));
  await late.play("desk");
  await until("the late one sees them too", () => pictures(late).length === 3);
  for (const program of [early, late]) {
    const kinds = pictures(program).map(({ body }) => body.subarray(0, 2).toHex());
    assert.deepEqual(kinds, ["1700", "1701", "2701"]);
  }
  await using speaker = await StreamProgram.connect(urlOf(running, "line/desk"));
  await speaker.publish("say");
  speaker.send(9, 0, Uint8Array.of(0x17, 0, 0, 0, 0, ...CONFIG));
  speaker.send(9, 40, Uint8Array.of(0x17, 1, 0, 0, 0, ...avc([key])));
  await until(
    "the caller sees the key frame",
    () => caller.line.received.some(({ payload }) => payload.toHex().endsWith(key.toHex())),
  );
  await Promise.all([early.close(), late.close(), speaker.close()]);
  await caller.call!.hangUp();
  await idle(running);
});
