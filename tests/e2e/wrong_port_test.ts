// Programs that were given the wrong port, against the program itself: each hears what is wrong instead of a reset.

import assert from "node:assert/strict";
import { silentLog } from "../../lib/base/log.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { createSelfSigned } from "../../scripts/self_signed.ts";
import { inFolder } from "../support/live_flv.ts";
import { until } from "../support/live_server.ts";
import { type RunningProgram, startProgram } from "../support/program.ts";

const CLIENT = { log: silentLog, clock: systemClock, random: systemRandom, timeoutMs: 10_000 };
const SENTENCE = "This is an RTMP port: connect to it with an rtmp:// address.\n";

/** Sends bytes and reads until the end, which must be a clean one. */
async function exchange(port: number, bytes: Uint8Array | string): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const all = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  for (let at = 0; at < all.length;) at += await conn.write(all.subarray(at));
  let text = "";
  const piece = new Uint8Array(4096);
  for (let count = await conn.read(piece); count !== null; count = await conn.read(piece)) {
    text += new TextDecoder("latin1").decode(piece.subarray(0, count));
    if (text.endsWith(SENTENCE)) break; // as Content-Length says
  }
  return text;
}

async function withProgram(run: (program: RunningProgram, tlsPort: number) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const { certificate, privateKey } = await createSelfSigned();
    await Deno.writeTextFile(`${folder}/cert.pem`, certificate);
    await Deno.writeTextFile(`${folder}/key.pem`, privateKey);
    const args = ["--rtmps-port", "0", "--tls-cert", `${folder}/cert.pem`, "--tls-key", `${folder}/key.pem`];
    await using program = await startProgram({ args });
    const tlsPort = Number(/RTMPS clients connect to 127\.0\.0\.1:(\d+)/.exec(program.output())?.[1]);
    await run(program, tlsPort);
    await using _client = await RtmpClient.open(`rtmp://127.0.0.1:${program.rtmpPort}/live`, CLIENT);
    assert.equal(await program.stop("SIGTERM"), 0);
  });
}

Deno.test("HTTP on the RTMP port is answered with 400 and one sentence, whatever the method and the body", () =>
  withProgram(async ({ rtmpPort, output }) => {
    const url = `http://127.0.0.1:${rtmpPort}/some/page`;
    const methods = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"];
    for (const method of methods) {
      const withBody = ["POST", "PUT", "PATCH"].includes(method);
      const response = await fetch(url, { method, ...(withBody && { body: new Uint8Array(500_000) }) });
      assert.equal(response.status, 400, method);
      assert.equal(await response.text(), method === "HEAD" ? "" : SENTENCE, method);
    }
    await until( // of a request with a body when the client has closed, a second later at most
      "all are logged",
      () =>
        methods.every((method) => output().includes(`(${method} /some/page HTTP/1.1), answered with 400`)),
    );
    for (const method of methods) {
      const lines = output().split("\n").filter((line) =>
        line.includes(`HTTP (${method} /some/page HTTP/1.1)`)
      );
      assert.equal(lines.length, 1, output());
      assert.match(lines[0]!, / warn .*answered with 400$/);
    }
    for (const text of ["GET / HTTP/1.0\r\n\r\n", "GET /\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]) {
      assert.match(await exchange(rtmpPort, text), /^HTTP\/1\.1 400 Bad Request\r\n/);
    }
  }));

Deno.test("SIP, RTSP and TLS on the RTMP port, and no TLS on that of RTMPS, are told and logged", () =>
  withProgram(async ({ rtmpPort, output }, tlsPort) => {
    const head =
      "Via: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:b@h>;tag=1\r\nTo: <sip:a@h>\r\nCall-ID: c1\r\nCSeq: 1 REGISTER\r\n";
    const sip = await exchange(rtmpPort, `REGISTER sip:h SIP/2.0\r\n${head}Content-Length: 0\r\n\r\n`);
    assert.match(sip, /^SIP\/2\.0 400 This is an RTMP port[^]*Call-ID: c1\r\n/);
    assert.match(
      await exchange(rtmpPort, "DESCRIBE rtsp://h/ RTSP/1.0\r\nCSeq: 2\r\n\r\n"),
      /^RTSP\/1\.0 400 .*\r\nCSeq: 2/,
    );
    await assert.rejects(async () => {
      using tls = await Deno.connectTls({ hostname: "127.0.0.1", port: rtmpPort });
      await tls.handshake();
    }, /HandshakeFailure|handshake/i);
    await until("TLS is logged", () => output().includes("not RTMP but TLS, which this port does not speak"));
    assert.match(output(), /warn .*not RTMP but SIP \(REGISTER sip:h SIP\/2\.0\)/);
    for (let i = 0; i < 5; i++) {
      await assert.rejects(RtmpClient.open(`rtmp://127.0.0.1:${tlsPort}/live`, CLIENT));
      await exchange(tlsPort, "GET / HTTP/1.1\r\n\r\n").catch((error) =>
        assert.ok(error instanceof Deno.errors.ConnectionReset)
      );
    }
    const lines = output().split("\n").filter((line) =>
      line.includes("A client without TLS came to the TLS port")
    );
    assert.equal(lines.length, 1, output());
  }));
