// Calls go on under attack. Gateway, callers and attacker are processes of their own, as they are in life; what is
// measured is compared with the same calls without the attack, and a round that a busy machine spoilt is run again.

import assert from "node:assert/strict";
import { percentilesOf } from "../../bench/control/figures.ts";
import { type LoadProcess, startLoad } from "../../bench/control/load_client.ts";
import { type GatewayProcess, startGateway } from "../../bench/control/subjects.ts";
import type { RunResult } from "../../bench/load/protocol.ts";
import { type Attack, type AttackResult, startAttack } from "../support/attack.ts";
import { testSockets } from "../support/test_gateway.ts";
import { udpPortsOf } from "../support/program.ts";
import { openRawPhone, rawInvite } from "../support/raw_phone.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";

const CALLS = 10;
const RUN_SECONDS = 1;
const WARM_SECONDS = 0.2;
const RTP_PORTS = { min: 21_000, max: 21_999 };
/** What the worst hundredth may be later by than three times that of calm calls, on busy machines. */
const SPARE_MS = 100;

interface Stage extends AsyncDisposable {
  readonly gateway: GatewayProcess;
  /** The calls talk for a while. */
  talk(): Promise<RunResult>;
  /** They talk while somebody attacks; `meanwhile` is what an honest peer does at that time. */
  underAttack(what: Attack, meanwhile?: () => Promise<void>): Promise<AttackResult>;
}

async function startStage(args: readonly string[] = []): Promise<Stage> {
  const stack = new AsyncDisposableStack();
  const ports = ["--rtp-ports", `${RTP_PORTS.min}-${RTP_PORTS.max}`];
  const gateway = stack.use(
    await startGateway({ cpu: null, args: [...ports, ...args], sockets: testSockets }),
  );
  const load = stack.use(await startLoad(null));
  const dialled = await load.ask("dial", {
    target: "gateway",
    port: gateway.rtmpPort,
    kind: "speex",
    count: CALLS,
    perSecond: 50,
  });
  assert.equal(dialled.established, CALLS, dialled.failures.join("\n"));
  const talk = () => run(load, gateway.pid);
  return {
    gateway,
    talk,
    underAttack: (what, meanwhile) => underAttack(talk, what, meanwhile),
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

function run(load: LoadProcess, pid: number): Promise<RunResult> {
  return load.ask("run", { target: "gateway", seconds: RUN_SECONDS, warmSeconds: WARM_SECONDS, pid });
}

/** What was lost between the ends, without what the load end's own sockets had no room for. */
function lostOf({ audio, loadDrops }: RunResult): number {
  return audio.sentUp - audio.receivedUp + audio.sentDown - audio.receivedDown - loadDrops;
}

function worstMs({ audio }: RunResult): number {
  return percentilesOf([audio.up, audio.down]).p99Ms;
}

/** Three rounds at most: the attack must be seen to do no harm once, which a harmful one never is. */
async function underAttack(
  talk: () => Promise<RunResult>,
  what: Attack,
  meanwhile?: () => Promise<void>,
): Promise<AttackResult> {
  const verdicts: string[] = [];
  for (let round = 0; round < 3; round++) {
    const calm = await talk();
    const { result } = await startAttack(what);
    const [attacked] = await Promise.all([talk(), meanwhile?.()]);
    const did = await result;
    assert.ok(
      attacked.audio.receivedUp > CALLS * 25 && attacked.audio.receivedDown > CALLS * 25,
      "they talk",
    );
    const verdict = `lost ${lostOf(calm)} -> ${lostOf(attacked)}, p99 ${worstMs(calm)} -> ${
      worstMs(attacked)
    } ms`;
    if (lostOf(attacked) <= Math.max(0, lostOf(calm)) && worstMs(attacked) < SPARE_MS + 3 * worstMs(calm)) {
      return did;
    }
    verdicts.push(verdict);
  }
  assert.fail(`${what.kind} hurts running calls: ${verdicts.join("; ")}`);
}

function told({ gateway }: Stage, pattern: RegExp): number {
  return gateway.troubles.filter((line) => pattern.test(line)).length;
}

/** A load balancer asks whether we are there, from an address that does not scan. */
async function pinged(port: number): Promise<void> {
  using phone = openRawPhone();
  const ping =
    `OPTIONS sip:127.0.0.1:${port} SIP/2.0$Via: SIP/2.0/UDP 127.0.0.1:${phone.port};branch=z9hG4bKp;rport$` +
    `From: <sip:p@127.0.0.1>;tag=1$To: <sip:127.0.0.1>$Call-ID: ping${phone.port}$CSeq: 1 OPTIONS$Content-Length: 0$$`;
  const repeating = setInterval(() => phone.send(ping, port), 200); // as UDP asks for: the flood fills the socket
  phone.send(ping, port);
  try {
    await phone.receive(/^SIP\/2.0 200/);
  } finally {
    clearInterval(repeating);
  }
}

Deno.test("a scan of 10,000 SIP messages a second: calls lose nothing, hardly anything is answered, one line", async () => {
  await using stage = await startStage();
  const port = stage.gateway.sipPort;
  const scan: Attack = { kind: "scan", port, perSecond: 10_000, seconds: 1.5 };
  const { sent, answers } = await stage.underAttack(scan, () => pinged(port));
  assert.ok(sent > 1_000 && answers < 200, `${answers} of ${sent} were answered`);
  assert.equal(told(stage, /rate limiting 127\.0\.0\.9/), 1);
  assert.ok(stage.gateway.troubles.length <= 5, stage.gateway.troubles.join("\n"));
});

Deno.test("bad SIP that only the parser can tell, and garbage at the ports of the calls: nothing is lost", async () => {
  await using stage = await startStage();
  const nasty: Attack = { kind: "nasty", port: stage.gateway.sipPort, perSecond: 5_000, seconds: 1.5 };
  assert.ok((await stage.underAttack(nasty)).answers < 200);
  const ports = udpPortsOf(stage.gateway.pid).filter((port) =>
    port >= RTP_PORTS.min && port <= RTP_PORTS.max
  );
  assert.equal(ports.length, 2 * CALLS);
  const garbage: Attack = { kind: "rtp", port: 0, ports, perSecond: 10_000, seconds: 1.5 };
  assert.equal((await stage.underAttack(garbage)).answers, 0);
  assert.ok(stage.gateway.troubles.length <= 5, stage.gateway.troubles.join("\n"));
});

Deno.test("connections that say a byte and wait: calls lose nothing, real clients come in, one line", async () => {
  await using stage = await startStage(["--max-half-open", "32"]);
  const { rtmpPort } = stage.gateway;
  const waiting: Attack = { kind: "half-open", port: rtmpPort, perSecond: 300, seconds: 1.5 };
  const { sent, answers } = await stage.underAttack(waiting, async () => {
    await using _honest = await RtmpPhone.connect({
      url: `rtmp://127.0.0.1:${rtmpPort}/sip/honest@127.0.0.1`,
    });
  });
  assert.ok(sent > 64 && answers >= sent - 64, `${answers} of ${sent} were dropped`);
  assert.equal(told(stage, /rate limiting 127\.0\.0\.1/), 1);
  assert.ok(stage.gateway.troubles.length <= 5, stage.gateway.troubles.join("\n"));
});

Deno.test("50 Mbit/s of junk, and 10,000 commands a second: read more slowly, calls lose nothing, one line", async () => {
  await using stage = await startStage(["--max-publish-rate", "4000"]);
  const port = stage.gateway.rtmpPort;
  const app = "sip/junk@127.0.0.1";
  const video: Attack = { kind: "video", port, app, perSecond: 50_000, seconds: 1.5 };
  await stage.underAttack(video);
  await stage.underAttack({ kind: "commands", port, app, perSecond: 10_000, seconds: 1.5 });
  assert.equal(told(stage, /rate limiting 127\.0\.0\.1: reads paused/), 1);
  assert.ok(stage.gateway.troubles.length <= 5, stage.gateway.troubles.join("\n"));
});

Deno.test("5000 calls to one user, 2000 a second, never acknowledged: running calls lose nothing, others are called", async () => {
  await using stage = await startStage();
  const { rtmpPort, sipPort: port } = stage.gateway;
  const connect = (user: string) =>
    RtmpPhone.connect({ url: `rtmp://127.0.0.1:${rtmpPort}/sip/${user}@127.0.0.1` });
  await using target = await connect("target");
  await using innocent = await connect("innocent");
  const flood: Attack = { kind: "invites", port, perSecond: 2_000, seconds: 2.5 };
  let calls = 0;
  const meanwhile = async () => {
    using desk = openRawPhone();
    desk.send(rawInvite(desk, { user: "innocent", port }, { callId: `honest${calls++}` }), port);
    await desk.receive(calls === 1 ? /^SIP\/2.0 180/ : /^SIP\/2.0 (?:180|486)/);
  };
  const { sent } = await stage.underAttack(flood, meanwhile);
  assert.ok(sent > 1_000, `only ${sent} were sent`);
  await Promise.all([target.expect("invited"), innocent.expect("invited")]);
  assert.ok(told(stage, /rate limiting 127\.0\.0\.9/) <= 1);
  assert.ok(stage.gateway.troubles.length <= 5, stage.gateway.troubles.join("\n"));
});

Deno.test("single messages that are slow to read, and 20 users flooded from 60 addresses: calls are on time", async () => {
  await using talkative = await startStage(["-d"]);
  const { rtmpPort, sipPort } = talkative.gateway;
  const some = { perSecond: 20, seconds: 1.5 };
  for (const kind of ["slow-texts", "slashes", "slash-names"] as const) {
    const port = kind === "slow-texts" ? sipPort : rtmpPort;
    const { sent } = await talkative.underAttack({ kind, port, ...some });
    assert.ok(sent >= 10, `${kind}: only ${sent} were sent`);
  }
  await using stage = await startStage();
  await using phones = new AsyncDisposableStack();
  for (let i = 0; i < 20; i++) {
    const url = `rtmp://127.0.0.1:${stage.gateway.rtmpPort}/sip/target${i}@127.0.0.1`;
    phones.use(await RtmpPhone.connect({ url }));
  }
  const from = Array.from({ length: 60 }, (_, i) => `127.0.1.${i + 1}`);
  const flood: Attack = {
    kind: "invites",
    users: 20,
    from,
    port: stage.gateway.sipPort,
    perSecond: 2_000,
    seconds: 1.5,
  };
  const { sent } = await stage.underAttack(flood);
  assert.ok(sent > 1_000, `only ${sent} were sent`);
  assert.ok(stage.gateway.troubles.length <= 5, stage.gateway.troubles.join("\n"));
});
