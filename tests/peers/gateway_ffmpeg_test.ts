// Programs that can only publish or play make calls through the gateway, dialling by URL: ffmpeg and rtmpdump.
// What they send arrives octet for octet, what they record is whole and can be decoded.

import assert from "node:assert/strict";
import { concatBytes } from "../../lib/base/bytes.ts";
import {
  decodeFlv,
  FFMPEG_TONE_PEAK,
  flvOf,
  playFlv,
  publishFlv,
  speakTags,
  startProgram,
  type ToneCodec,
  toneFlv,
} from "../support/ffmpeg.ts";
import { hasPeer } from "../support/peers.ts";
import { type KeptTag, tagsOf } from "../support/rtmp_server.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { startSipp } from "../support/sipp.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { measureTone } from "../support/tone.ts";

const ignore = !hasPeer("ffmpeg");
const HZ = 733;
const SECONDS = 3;
const NOTHING_LEFT = { connections: 0, clients: 0, calls: 0, rtpPorts: 0 };

/** Codecs with the token of who answers, the octets of a 20 ms block, and the noise that belongs to them. */
const CODECS: Record<ToneCodec, { token: string; sampleRate: number; impurity: number }> = {
  pcmu: { token: "pcmu", sampleRate: 8000, impurity: 0.02 },
  pcma: { token: "pcma", sampleRate: 8000, impurity: 0.02 },
  speex: { token: "wideband", sampleRate: 16000, impurity: 0.1 },
};

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const audioOf = (tags: readonly KeptTag[]) => tags.filter((tag) => tag.type === 8 && tag.body.length > 1);

/** Coded data in a row, the tag bytes left out. */
const octetsOf = (bodies: readonly Uint8Array[]) => concatBytes(bodies.map((body) => body.subarray(1)));

/** Where `part` is in `whole`, which it must be, in one piece. */
function offsetOf(part: Uint8Array, whole: Uint8Array): number {
  for (let at = 0; at + part.length <= whole.length; at++) {
    if (part.every((octet, i) => octet === whole[at + i])) return at;
  }
  return -1;
}

/** `user@host` in a stream URL: a colon would end the application there. */
function dialUrl(running: TestGateway, from: string, to: string, port: number, stream: string): string {
  return running.url(`${from}@127.0.0.1?dial=${to}@127.0.0.1%3A${port}/${stream}`);
}

async function assertTone(tags: readonly KeptTag[], codec: ToneCodec, leastMs: number): Promise<void> {
  const { sampleRate, impurity } = CODECS[codec];
  const samples = await decodeFlv(flvOf(tags), sampleRate);
  const tone = measureTone(samples, { sampleRate, hz: HZ, impurity });
  const told = JSON.stringify(tone);
  assert.ok(Math.abs(tone.hz - HZ) < HZ / 100, told);
  assert.ok(
    Math.abs(20 * Math.log10(tone.level / (FFMPEG_TONE_PEAK / Math.SQRT2))) < 1,
    `within 1 dB: ${told}`,
  );
  assert.equal(tone.broken, 0, told);
  assert.ok(tone.durationMs >= leastMs, told);
}

function assertEvenTimes(tags: readonly KeptTag[]): void {
  const steps = tags.slice(1).map((tag, i) => tag.timeMs - tags[i]!.timeMs);
  assert.deepEqual(steps.filter((step) => step !== 20), [], "time goes on by 20 ms");
}

async function assertNothingLeft(running: TestGateway): Promise<void> {
  for (let tries = 0; tries < 40 && running.gateway.usage.connections > 0; tries++) {
    await pause(50);
  }
  assert.deepEqual(running.gateway.usage, NOTHING_LEFT);
}

for (const codec of Object.keys(CODECS) as ToneCodec[]) {
  Deno.test(
    { name: `ffmpeg publishes ${codec} and dials by URL: the callee hears every octet`, ignore },
    async () => {
      const file = await toneFlv(codec, HZ, SECONDS);
      await using running = await startGateway();
      {
        await using ear = await RtmpPhone.connect({
          url: running.url("ear@127.0.0.1"),
          answers: [CODECS[codec].token],
        });
        const url = dialUrl(running, "mouth", "ear", running.gateway.sipPort, "local");
        await using ffmpeg = await publishFlv(url, file);
        const { code, said } = await ffmpeg.ended;
        assert.equal(code, 0, said);
        await ear.expect("byed");
        const heard = audioOf(ear.heard as KeptTag[]);
        const sent = octetsOf(audioOf(tagsOf(file)).map((tag) => tag.body));
        const arrived = octetsOf(heard.map((tag) => tag.body));
        const at = offsetOf(arrived, sent);
        assert.ok(at > 0, "in one piece; the tag that dialled came too early to be heard");
        assert.ok(at < sent.length / 4, `the first ${at} of ${sent.length} octets came before the answer`);
        assert.ok(at + arrived.length > sent.length - 160, "the end was heard");
        assertEvenTimes(heard);
        await assertTone(heard, codec, (SECONDS - 1) * 1000);
      }
      await assertNothingLeft(running);
    },
  );

  Deno.test({ name: `ffmpeg plays a call that it dialled, ${codec}, to the end`, ignore }, async () => {
    const file = await toneFlv(codec, HZ, SECONDS);
    await using running = await startGateway();
    {
      await using mouth = await RtmpPhone.connect({
        url: running.url("mouth@127.0.0.1"),
        answers: [CODECS[codec].token],
      });
      await using ffmpeg = await playFlv(dialUrl(running, "ear", "mouth", running.gateway.sipPort, "remote"));
      await mouth.expect("accepted");
      await speakTags(mouth.speaking, tagsOf(file));
      await pause(200); // the last block is still on its way
      mouth.client.send("bye");
      const { code, said } = await ffmpeg.ended;
      assert.equal(code, 0, said);
      const heard = audioOf(tagsOf(await ffmpeg.file("out.flv")));
      const sent = octetsOf(audioOf(tagsOf(file)).map((tag) => tag.body));
      const arrived = octetsOf(heard.map((tag) => tag.body));
      assert.equal(offsetOf(arrived, sent), 0, "every octet from the first on");
      const unfinished = codec === "speex" ? 0 : sent.length % 160; // G.711 leaves in whole blocks
      assert.equal(arrived.length, sent.length - unfinished);
      assertEvenTimes(heard);
      await assertTone(heard, codec, SECONDS * 1000 - 40);
    }
    await assertNothingLeft(running);
  });
}

Deno.test({
  name: "ffmpeg dials SIPp, which echoes: as many packets come back as were sent, and a BYE at the end",
  ignore: !hasPeer("ffmpeg", "sipp"),
}, async () => {
  const file = await toneFlv("pcmu", HZ, SECONDS);
  await using sipp = await startSipp({ scenario: "callee_echo", args: ["-rtp_echo"] });
  await using running = await startGateway();
  await using ffmpeg = await publishFlv(dialUrl(running, "mouth", "echo", sipp.port, "local"), file);
  const { code, said } = await ffmpeg.ended;
  assert.equal(code, 0, said);
  const { ok, report } = await sipp.finished();
  assert.ok(ok, report);
  await assertNothingLeft(running);
  const counts = /audio packets: (\d+) sent, (\d+) received, 0 lost/.exec(running.lines());
  const [sent = 0, received = 0] = counts?.slice(1).map(Number) ?? [];
  assert.ok(sent > 100, running.lines());
  assert.ok(Math.abs(sent - received) <= 2, `${sent} sent, ${received} came back`); // the last may be cut off
});

/** A publisher that would go on for a minute, and must be ended by the call's end. */
async function publishLong(url: string) {
  const input = ["-v", "warning", "-re", "-f", "lavfi", "-i", `sine=frequency=${HZ}:sample_rate=8000`];
  return await startProgram("ffmpeg", [...input, "-t", "60", "-c:a", "pcm_mulaw", "-f", "flv", url]);
}

Deno.test(
  { name: "when the callee hangs up, ffmpeg's connection ends and so does ffmpeg", ignore },
  async () => {
    await using running = await startGateway();
    await using ear = await RtmpPhone.connect({ url: running.url("ear@127.0.0.1"), answers: ["pcmu"] });
    await using ffmpeg = await publishLong(
      dialUrl(running, "mouth", "ear", running.gateway.sipPort, "local"),
    );
    await ear.expect("accepted");
    await pause(500);
    ear.client.send("bye");
    const { said } = await ffmpeg.ended;
    assert.match(said, /Broken pipe|reset by peer|I\/O error/i);
    await ear[Symbol.asyncDispose]();
    await assertNothingLeft(running);
  },
);

Deno.test({
  name: "a callee that is busy ends ffmpeg's connection, and the log says why",
  ignore: !hasPeer("ffmpeg", "sipp"),
}, async () => {
  await using sipp = await startSipp({ scenario: "callee_busy" });
  await using running = await startGateway();
  await using ffmpeg = await publishLong(dialUrl(running, "mouth", "busy", sipp.port, "local"));
  await ffmpeg.ended;
  assert.ok((await sipp.finished()).ok);
  assert.match(running.lines(), /mouth@127\.0\.0\.1: call to \S+ failed: 486 Busy Here/);
  await assertNothingLeft(running);
});

Deno.test(
  { name: "ffmpeg is killed in a call: the remote party hears of it and nothing is left", ignore },
  async () => {
    await using running = await startGateway();
    await using mouth = await RtmpPhone.connect({ url: running.url("mouth@127.0.0.1"), answers: ["pcmu"] });
    await using ffmpeg = await playFlv(dialUrl(running, "ear", "mouth", running.gateway.sipPort, "remote"));
    await mouth.expect("accepted");
    ffmpeg.kill("SIGKILL");
    await mouth.expect("byed");
    await mouth[Symbol.asyncDispose]();
    await assertNothingLeft(running);
  },
);

Deno.test(
  { name: "ffmpeg publishes without dialling: it is accepted, and calls nobody", ignore },
  async () => {
    const file = await toneFlv("speex", HZ, 1);
    await using running = await startGateway();
    const ffmpeg = await publishFlv(running.url("alice@127.0.0.1/local"), file);
    await using _ffmpeg = ffmpeg;
    const { code, said } = await ffmpeg.ended;
    assert.equal(code, 0, said);
    await assertNothingLeft(running);
    const lines = running.lines();
    assert.match(lines, /alice@127\.0\.0\.1: client \S+ connected/);
    assert.match(lines, /<- publish \["local"/);
    assert.doesNotMatch(lines, /sent to (udp|tcp)/);
  },
);

const HANDSHAKES = { "plain": [], "signed": ["--swfhash", "0".repeat(64), "--swfsize", "1000"] };

for (const [handshake, extra] of Object.entries(HANDSHAKES)) {
  Deno.test({
    name: `rtmpdump records a call that it dialled (${handshake} handshake), and ffmpeg decodes it`,
    ignore: !hasPeer("ffmpeg", "rtmpdump"),
  }, async () => {
    const file = await toneFlv("speex", HZ, SECONDS);
    await using running = await startGateway();
    await using mouth = await RtmpPhone.connect({
      url: running.url("mouth@127.0.0.1"),
      answers: ["wideband"],
    });
    const { rtmp, sipPort } = running.gateway;
    const app = `sip/ear@127.0.0.1?dial=mouth@127.0.0.1:${sipPort}`;
    const target = [
      "--rtmp",
      `rtmp://127.0.0.1:${rtmp.port}`,
      "--app",
      app,
      "--playpath",
      "remote",
      "--live",
    ];
    const connect = ["S:ear", "S:", "S:Ear of rtmpdump"].flatMap((value) => ["-C", value]);
    await using dump = await startProgram("rtmpdump", [
      "--quiet",
      ...target,
      ...extra,
      ...connect,
      "-o",
      "out.flv",
    ]);
    const [from] = await mouth.expect("invited");
    assert.match(String(from), /^"Ear of rtmpdump" <sip:ear@127\.0\.0\.1/);
    await mouth.expect("accepted");
    await speakTags(mouth.speaking, tagsOf(file));
    await pause(200);
    mouth.client.send("bye");
    await dump.ended;
    const heard = audioOf(tagsOf(await dump.file("out.flv")));
    const sent = audioOf(tagsOf(file));
    const packetsOf = (tags: readonly KeptTag[]) => tags.map((tag) => tag.body.subarray(1));
    assert.deepEqual(packetsOf(heard), packetsOf(sent), "every packet, unchanged");
    assert.ok(heard.every((tag) => tag.body[0] === 0xb2), "Speex as Flash tags it");
    assertEvenTimes(heard);
    await assertTone(heard, "speex", SECONDS * 1000 - 40);
  });
}
