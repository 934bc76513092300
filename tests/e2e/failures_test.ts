// What breaks around the gateway must not touch the other calls, nor leave anything behind.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { SipServer } from "../../lib/tools/sipd/sip_server.ts";
import { runTrialCall } from "../../lib/tools/trial/trial_call.ts";
import { socketInodes } from "../../bench/process.ts";
import { startProgram } from "../support/program.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { startGateway } from "../support/test_gateway.ts";

const ENVIRONMENT = { clock: systemClock, log: silentLog, random: systemRandom, dns: systemDns };
const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function startServer(): Promise<SipServer> {
  return SipServer.start({ listen: { hostname: "127.0.0.1", port: 0 }, portFallback: false }, ENVIRONMENT);
}

function trialCall(rtmpPort: number, sipdPort: number, user: string, durationSeconds: number) {
  return runTrialCall(
    {
      url: `rtmp://127.0.0.1:${rtmpPort}/sip/${user}@127.0.0.1:${sipdPort}`,
      destination: "echo",
      login: user,
      password: "any",
      displayName: null,
      source: { kind: "sample", codec: "pcmu", durationSeconds },
      record: null,
    },
    ENVIRONMENT,
    new AbortController().signal,
  );
}

/** Waits for a condition that must come about; the test's own bound is the runner's patience. */
async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await holds()) return;
    await pause(50);
  }
  assert.fail(`never came about: ${what}`);
}

Deno.test("an RTMP client killed in a call: its call ends, the other loses nothing, nothing is left", async () => {
  await using sipd = await startServer();
  await using running = await startGateway();
  const { gateway } = running;
  const other = trialCall(gateway.rtmp.port, sipd.address.port, "steady", 4);
  const url = `rtmp://127.0.0.1:${gateway.rtmp.port}/sip/victim@127.0.0.1:${sipd.address.port}`;
  const victim = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-net",
      "--allow-read",
      "--allow-sys",
      MAIN,
      "call",
      url,
      "echo",
      "--duration",
      "60",
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await until(() => gateway.usage.calls === 2, "both calls up");
  victim.kill("SIGKILL");
  await victim.status;
  await until(() => gateway.usage.calls === 1, "the victim's call ended");
  const { outcome } = await other;
  assert.ok(outcome.type === "completed", JSON.stringify(outcome));
  assert.deepEqual([outcome.echo.sent, outcome.echo.matched], [200, 200]);
  await until(() => Object.values(gateway.usage).every((count) => count === 0), "everything given back");
});

Deno.test("a full disk under the log: calls go on as if nothing were", async () => {
  await using sipd = await startServer();
  await using program = await startProgram({ args: ["-D"], logTo: "/dev/full" });
  const { outcome } = await trialCall(program.rtmpPort, sipd.address.port, "me", 2);
  assert.ok(outcome.type === "completed", JSON.stringify(outcome));
  assert.deepEqual([outcome.echo.sent, outcome.echo.matched], [100, 100]);
  assert.equal(await program.stop("SIGTERM"), 0);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} in a call: the remote party gets BYE, the registrar is told, exit code 0`, async () => {
    await using sipd = await startServer();
    await using far = await startGateway();
    await using bob = await RtmpPhone.connect({
      url: far.url(`bob@127.0.0.1:${sipd.address.port}`),
      password: "any",
      answers: ["pcmu"],
    });
    await using program = await startProgram();
    await using alice = await RtmpPhone.connect({
      url: `rtmp://127.0.0.1:${program.rtmpPort}/sip/alice@127.0.0.1:${sipd.address.port}`,
      password: "any",
    });
    alice.client.send("invite", "bob", "pcmu");
    await bob.expect("accepted");
    const code = program.stop(signal);
    await bob.expect("byed");
    assert.equal(await code, 0);
    assert.match(program.output(), /alice@.*unregistered: 200/);
  });
}

Deno.test("a registrar that never answers: SIGTERM still ends the program with 0", async () => {
  const deaf = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  using _closing = { [Symbol.dispose]: () => deaf.close() };
  const { port } = deaf.addr as Deno.NetAddr;
  await using program = await startProgram();
  const connecting = RtmpPhone.connect({
    url: `rtmp://127.0.0.1:${program.rtmpPort}/sip/alice@127.0.0.1:${port}`,
    password: "any",
  });
  connecting.catch(() => {}); // it is cut off, which is what we wait for below
  await deaf.receive();
  assert.equal(await program.stop("SIGTERM"), 0);
  await assert.rejects(connecting);
});

Deno.test("two thousand clients in turn leave no socket behind (behaviour 1.11 #21)", async () => {
  await using sipd = await startServer();
  await using program = await startProgram();
  const idle = socketInodes(program.pid).size;
  for (let i = 0; i < 2000; i++) {
    await using _phone = await RtmpPhone.connect({
      url: `rtmp://127.0.0.1:${program.rtmpPort}/sip/u${i}@127.0.0.1:${sipd.address.port}`,
      password: "any",
    });
  }
  await until(() => socketInodes(program.pid).size === idle, "all sockets closed");
});

Deno.test("SIGHUP exchanges the certificate of RTMPS without touching the connections that are there", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
    const selfSigned = async () => {
      const script = new URL("../../scripts/self_signed.ts", import.meta.url).pathname;
      const made = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", script, cert, key] })
        .output();
      assert.ok(made.success, new TextDecoder().decode(made.stderr));
      return await Deno.readTextFile(cert);
    };
    const first = await selfSigned();
    await using program = await startProgram({
      args: ["--rtmps-port", "0", "--tls-cert", cert, "--tls-key", key],
    });
    const port = Number(/RTMPS clients connect to 127\.0\.0\.1:(\d+)/.exec(program.output())?.[1]);
    const connect = async (ca: string) => {
      const conn = await Deno.connectTls({ hostname: "localhost", port, caCerts: [ca] });
      try {
        await conn.handshake();
        return conn;
      } catch (error) {
        conn.close();
        throw error;
      }
    };
    using old = await connect(first);
    const second = await selfSigned();
    Deno.kill(program.pid, "SIGHUP");
    await until(() => /certificate reloaded/.test(program.output()), "the certificate is read again");
    (await connect(second)).close();
    await assert.rejects(connect(first));
    await old.write(new Uint8Array(1537).fill(3)); // C0 and C1: the old connection still speaks
    const answer = new Uint8Array(1);
    assert.equal(await old.read(answer), 1);
    assert.equal(answer[0], 3);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
