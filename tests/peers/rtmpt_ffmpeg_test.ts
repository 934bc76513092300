// RTMPT as ffmpeg and librtmp speak it: every tag arrives as it was, both ways.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { listenTcp } from "../../lib/net/tcp.ts";
import { listenTls, TlsIdentity } from "../../lib/net/tls.ts";
import { listenRtmpt } from "../../lib/rtmp/tunnel/listen.ts";
import { createSelfSigned } from "../../scripts/self_signed.ts";
import { runProgram } from "../support/media_programs.ts";
import { hasPeer } from "../support/peers.ts";
import { tagsOf, type TestTransport } from "../support/rtmp_server.ts";
import {
  assertSameMedia,
  makeSource,
  play,
  publish,
  startGiver,
  startKeeper,
} from "../support/rtmp_sources.ts";

const ENVIRONMENT = { clock: systemClock, log: silentLog, random: systemRandom };

const rtmpt: TestTransport = {
  scheme: "rtmpt",
  listen: (at, signal, onListening) =>
    listenRtmpt(
      (inner) => listenTcp(at, { signal: AbortSignal.any([signal, inner]), onListening }),
      { maxSessions: 10 },
      ENVIRONMENT,
    ),
};

const identity = new TlsIdentity(await createSelfSigned());

const rtmpts: TestTransport = {
  scheme: "rtmpts",
  listen: (at, signal, onListening) =>
    listenRtmpt(
      (inner) => listenTls(at, { signal: AbortSignal.any([signal, inner]), onListening, identity }),
      { maxSessions: 10 },
      ENVIRONMENT,
    ),
};

Deno.test({
  name: "ffmpeg publishes and plays through RTMPTS: every tag arrives unchanged",
  ignore: !hasPeer("ffmpeg"),
  fn: async () => {
    const file = await makeSource();
    const { server, tags, done } = await startKeeper(rtmpts);
    await using _server = server;
    await publish(file, `${server.url}/live/x`, ["-tls_verify", "0"]);
    await done;
    assertSameMedia(tags, tagsOf(file));
    await using giver = await startGiver(tagsOf(file), rtmpts);
    assertSameMedia(await play(`${giver.url}/live/x`), tagsOf(file));
  },
});

Deno.test({
  name: "FAQ 7 (hosts with HTTP only): ffmpeg publishes through RTMPT: every tag arrives unchanged",
  ignore: !hasPeer("ffmpeg"),
  fn: async () => {
    const file = await makeSource();
    const { server, tags, done } = await startKeeper(rtmpt);
    await using _server = server;
    await publish(file, `${server.url}/live/x`);
    await done;
    assertSameMedia(tags, tagsOf(file));
  },
});

Deno.test({
  name: "ffmpeg plays through RTMPT: every tag arrives unchanged",
  ignore: !hasPeer("ffmpeg"),
  fn: async () => {
    const source = tagsOf(await makeSource());
    await using server = await startGiver(source, rtmpt);
    assertSameMedia(await play(`${server.url}/live/x`), source);
  },
});

Deno.test({
  name: "librtmp plays through RTMPT: every tag arrives unchanged",
  ignore: !hasPeer("ffmpeg", "rtmpdump"),
  fn: async () => {
    // Not the metadata, whose duration makes rtmpdump want more than there is, nor the end-of-sequence tag,
    // which it never writes.
    const tags = tagsOf(await makeSource());
    const source = tags.filter(({ type, body }) => type !== 18 && body.length > 5);
    await using server = await startGiver(source, rtmpt);
    const args = ["-q", "--live", "-r", `${server.url}/live/x`, "-o", "out.flv"];
    const files = { input: new Uint8Array(0), inputName: "none", outputName: "out.flv" };
    assertSameMedia(tagsOf(await runProgram("rtmpdump", args, files)), source);
  },
});

Deno.test({
  name: "a publisher through RTMPT that is killed is noticed by its silence",
  ignore: !hasPeer("ffmpeg"),
  fn: async () => {
    const brief: TestTransport = {
      scheme: "rtmpt",
      listen: (at, signal, onListening) =>
        listenRtmpt(
          (inner) => listenTcp(at, { signal: AbortSignal.any([signal, inner]), onListening }),
          { maxSessions: 10, silenceMs: 1_000 },
          ENVIRONMENT,
        ),
    };
    const { server, tags, done } = await startKeeper(brief);
    await using _server = server;
    const input = "-v quiet -re -f lavfi -i sine=1000:sample_rate=8000 -t 60 -c:a pcm_mulaw -ac 1 -f flv";
    const args = [...input.split(" "), `${server.url}/live/x`];
    const victim = new Deno.Command("ffmpeg", { args, stdin: "null" }).spawn();
    while (tags.length < 20) await new Promise((resolve) => systemClock.after(20, () => resolve(null)));
    victim.kill("SIGKILL");
    await victim.status;
    await done;
    assert.match(server.log.lines.join("\n"), /asks no more/);
  },
});
