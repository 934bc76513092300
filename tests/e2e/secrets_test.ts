// Secrets that clients and peers send, against the program itself with everything in its log: none of them is in what it
// writes, nor in what it answers.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { startProgram } from "../support/program.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const SECRET = /hunter2|SHVudGVyMg/i;

/** A request with secrets in headers and in its description. */
function request(method: string, port: number): Uint8Array {
  const body = [
    ...["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", "k=clear:hunter2 hunter2"],
    ...["m=audio 40000 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:hunter2hunter2|2^20|1:32"],
    ...[
      "a=ice-ufrag:abcd",
      "a=ice-pwd:hunter2hunter2hunter2",
      "a=key-mgmt:mikey hunter2",
      "k=base64:SHVudGVyMg==",
      "",
    ],
  ].join("\r\n");
  const head = [
    `${method} sip:nobody:hunter2@127.0.0.1:${port} SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK${method}1;rport`,
    "From: <sip:eve:hunter2@127.0.0.1>;tag=1",
    `To: <sip:nobody:hunter2@127.0.0.1:${port}>`,
    `Call-ID: ${method}-secrets`,
    `CSeq: 1 ${method}`,
    "Contact: <sip:eve:hunter2@127.0.0.1:9>",
    "Max-Forwards: 70",
    "Authorization: Basic SHVudGVyMg==",
    'Proxy-Authorization: Digest username="eve", realm="r", nonce="n", uri="sip:x", response="hunter2hunter2"',
    "X-Auth-Token: hunter2",
    "Subject: password=hunter2",
    "Content-Type: application/sdp",
    `Content-Length: ${body.length}`,
  ].join("\r\n");
  return new TextEncoder().encode(`${head}\r\n\r\n${body}`);
}

async function askBySip(port: number): Promise<string> {
  let said = "";
  for (const method of ["OPTIONS", "INVITE", "MESSAGE", "REGISTER"]) {
    const socket = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
    await socket.send(request(method, port), { hostname: "127.0.0.1", port, transport: "udp" });
    const late = setTimeout(() => socket.close(), 2_000);
    try {
      const [bytes] = await socket.receive();
      said += new TextDecoder().decode(bytes).replace(/^(?:To|From|Via): .*$/gim, ""); // as they came, by 8.2.6.2
      socket.close();
    } catch (error) {
      assert.ok(error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource);
    } finally {
      clearTimeout(late);
    }
  }
  return said;
}

async function askByRtmp(port: number): Promise<string> {
  let said = "";
  const options = {
    log: silentLog,
    clock: systemClock,
    random: systemRandom,
    onCall: (_name: string, args: unknown[]) => void (said += JSON.stringify(args)),
  };
  const base = `rtmp://127.0.0.1:${port}`;
  await using live = await RtmpClient.open(`${base}/live?key=hunter2`, {
    ...options,
    args: ["eve", "hunter2"],
  });
  for (
    const [name, args] of [
      ["someCommand", ["x?key=hunter2", { token: "hunter2", password: "hunter2" }]],
      ["login", ["eve", "hunter2"]],
      ["FCPublish", ["film?hunter2"]],
    ] as const
  ) await live.call(name, ...args).catch((error) => void (said += error.message));
  const stream = await live.createStream();
  const plain = await live.createStream();
  await plain.publish("film?hunter2").catch((error) => void (said += error.message));
  await plain.play("film?hunter2&x=hunter2", -1).catch((error) => void (said += error.message));
  await using odd = await RtmpClient.open(`${base}/live?hunter2`, options);
  await odd.call("releaseStream", "film?sig=hunter2").catch((error) => void (said += error.message));
  await stream.publish("film?token=hunter2").catch((error) => void (said += error.message));
  await stream.play("sip:eve:hunter2@h?k=hunter2", 0).catch((error) => void (said += error.message));
  await using phone = await RtmpClient.open(`${base}/sip/eve@127.0.0.1`, { ...options, args: ["eve"] });
  for (const to of ["sip:bob:hunter2@", "sip:bob:hunter2@169.254.169.254", "<sip:bob:hunter2@h"]) {
    await phone.call("invite", to, "pcmu").catch((error) => void (said += error.message));
    await new Promise((go) => setTimeout(go, 200));
  }
  const refused = RtmpClient.open(`${base}/sip/eve:hunter2@`, options);
  await refused.then((client) => client[Symbol.asyncDispose](), (error) => void (said += error.message));
  return said;
}

for (const level of ["-d", "-D"]) {
  Deno.test(`with ${level} no secret of anybody is in the log, nor in what is answered`, async () => {
    await using program = await startProgram({ args: [level] });
    const told = await askBySip(program.sipPort) + await askByRtmp(program.rtmpPort);
    assert.doesNotMatch(told, SECRET);
    assert.equal(await program.stop("SIGTERM"), 0);
    const log = program.output();
    for (
      const proof of [/a=ice-pwd:\*{4}/, /k=clear:\*{4}/, /inline:\*{4}/, /<- someCommand/, /Basic \*{4}/]
    ) {
      assert.match(log, proof);
    }
    const lines = log.split("\n").filter((line) => SECRET.test(line));
    assert.deepEqual(lines, []);
  });
}

Deno.test("siprtmp call tells no secret, whatever fails", async () => {
  await using program = await startProgram();
  const base = `rtmp://127.0.0.1:${program.rtmpPort}`;
  const calls = [
    [`${base}/sip/eve:hunter2@127.0.0.1?key=hunter2`, "sip:bob:hunter2@169.254.169.254"],
    [`${base}/sip/eve@127.0.0.1:${program.sipPort}`, "sip:bob:hunter2@", "--password", "hunter2"],
    [`rtmp://eve:hunter2@127.0.0.1:1/sip/eve@127.0.0.1`, "bob"],
  ];
  for (const call of calls) {
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...[
          "run",
          "--no-prompt",
          "--allow-net",
          "--allow-read",
          "--allow-sys=networkInterfaces",
          "main.ts",
        ],
        ...["call", ...call, "--duration", "1", "-D"],
      ],
      cwd: ROOT,
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.ok(said.length > 20, said);
    assert.doesNotMatch(said, SECRET);
  }
});
