// RTMPS, native and through stunnel as siprtmp's FAQ did it (FAQ question 17), with ffmpeg. rtmpdump is not
// among the clients: with GnuTLS it takes the session tickets of TLS 1.3 for a failure, of any server.

import assert from "node:assert/strict";
import { listenTls, TlsIdentity } from "../../lib/net/tls.ts";
import { createSelfSigned } from "../../scripts/self_signed.ts";
import { freePort } from "../support/free_port.ts";
import { hasPeer } from "../support/peers.ts";
import { startServer, tagsOf, type TestTransport } from "../support/rtmp_server.ts";
import {
  assertSameMedia,
  makeSource,
  play,
  publish,
  startGiver,
  startKeeper,
} from "../support/rtmp_sources.ts";

const pair = await createSelfSigned();
const identity = new TlsIdentity(pair);
const rtmps: TestTransport = {
  scheme: "rtmps",
  listen: (at, signal, onListening) => listenTls(at, { signal, onListening, identity }),
};

Deno.test({
  name: "FAQ 17: ffmpeg publishes over RTMPS, every tag arrives unchanged",
  ignore: !hasPeer("ffmpeg"),
  fn: async () => {
    const file = await makeSource();
    const { server, tags, done } = await startKeeper(rtmps);
    await using _server = server;
    await publish(file, `${server.url}/live/x`, ["-tls_verify", "0"]);
    await done;
    assertSameMedia(tags, tagsOf(file));
  },
});

Deno.test({
  name: "FAQ 17: ffmpeg plays over RTMPS, every tag arrives unchanged",
  ignore: !hasPeer("ffmpeg"),
  fn: async () => {
    const source = tagsOf(await makeSource());
    await using server = await startGiver(source, rtmps);
    assertSameMedia(await play(`${server.url}/live/x`, ["-tls_verify", "0"]), source);
  },
});

Deno.test({
  name: "FAQ 17: openssl finds the certificate it was given, and the new one after a reload",
  ignore: !hasPeer("openssl"),
  fn: async () => {
    const other = await createSelfSigned();
    const own = new TlsIdentity(pair);
    const reloading: TestTransport = {
      scheme: "rtmps",
      listen: (at, signal, onListening) => listenTls(at, { signal, onListening, identity: own }),
    };
    await using server = await startServer({}, {}, reloading);
    const shown = async (): Promise<string> => {
      const args = ["s_client", "-connect", server.url.replace("rtmps://", ""), "-servername", "localhost"];
      const { stdout } = await new Deno.Command("openssl", { args, stdin: "null", stderr: "null" }).output();
      const match = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n/s.exec(
        new TextDecoder().decode(stdout),
      );
      return match?.[0] ?? "";
    };
    assert.equal(await shown(), pair.certificate);
    own.replace(other);
    assert.equal(await shown(), other.certificate);
  },
});

/** stunnel in front of a plain port, until disposed. */
async function startStunnel(connectTo: string): Promise<{ port: number } & AsyncDisposable> {
  const folder = await Deno.makeTempDir();
  const port = freePort();
  await Deno.writeTextFile(`${folder}/pair.pem`, pair.privateKey + pair.certificate);
  const config = [
    "foreground = yes",
    "pid =",
    "[rtmps]",
    `accept = 127.0.0.1:${port}`,
    `connect = ${connectTo}`,
    `cert = ${folder}/pair.pem`,
  ];
  await Deno.writeTextFile(`${folder}/stunnel.conf`, config.join("\n") + "\n");
  const args = [`${folder}/stunnel.conf`];
  const running = new Deno.Command("stunnel4", { args, stdin: "null", stdout: "null", stderr: "piped" })
    .spawn();
  const errors = running.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!/Configuration successful/.test(said)) {
    const { value, done } = await errors.read();
    if (done) throw new Error(`stunnel did not start: ${said}`);
    said += value;
  }
  const drained = (async () => {
    while (!(await errors.read()).done);
  })();
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      running.kill();
      await running.status;
      await drained;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test({
  name: "FAQ 17: stunnel in front of the plain port, ffmpeg publishes and plays",
  ignore: !hasPeer("ffmpeg", "stunnel4"),
  fn: async () => {
    const file = await makeSource();
    const source = tagsOf(file);
    const kept: Parameters<typeof assertSameMedia>[0][number][] = [];
    const left = Promise.withResolvers<void>();
    await using server = await startServer({
      media: (_stream, { type, timeMs, body }) => void kept.push({ type, timeMs, body: body.slice() }),
      event: (event) => {
        if (event.type !== "play") return;
        for (const { type, timeMs, body } of source) event.stream.send(type, timeMs, body);
        event.stream.stop();
      },
      left: () => left.resolve(),
    });
    await using stunnel = await startStunnel(server.url.replace("rtmp://", ""));
    const url = `rtmps://127.0.0.1:${stunnel.port}/live/x`;
    await publish(file, url, ["-tls_verify", "0"]);
    await left.promise;
    assertSameMedia(kept, source);
    assertSameMedia(await play(url, ["-tls_verify", "0"]), source);
  },
});
