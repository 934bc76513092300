// Five calls while somebody attacks, beside the same calls left alone, in turn: deno run -A bench/attacks.ts [deno|linux] [name of an attack ...]
// Role: edge

import { type Attack, startAttack } from "../tests/support/attack.ts";
import { udpPortsOf } from "../tests/support/program.ts";
import { RtmpPhone } from "../tests/support/rtmp_phone.ts";
import { percentilesOf } from "./control/figures.ts";
import { startLoad } from "./control/load_client.ts";
import { type GatewayProcess, startGateway } from "./control/subjects.ts";
import type { SocketKind } from "../lib/net/sockets.ts";
import type { RunResult } from "./load/protocol.ts";

const CALLS = 5;
const SECONDS = 2.5;
const WARM_SECONDS = 0.3;
const TURNS = 2;
const TOKEN = "abcdefghij0123456789";
const MANY = Array.from({ length: 60 }, (_, i) => `127.0.1.${i + 1}`);

/** An attack, and what the gateway is started with and who is connected to it meanwhile. */
interface Case {
  readonly attack: Omit<Attack, "port" | "seconds">;
  readonly args?: readonly string[];
  readonly query?: string;
  readonly users?: readonly string[];
}

const target = ["target"];
const targets = Array.from({ length: 20 }, (_, i) => `target${i}`);

const CASES: Readonly<Record<string, Case>> = {
  "blanks in a Via": { attack: { kind: "via-blanks", perSecond: 20 }, users: target },
  "colons in a Via": { attack: { kind: "via-colons", perSecond: 20 }, users: target },
  "slashes in a path": { attack: { kind: "slashes", perSecond: 20 } },
  "slashes in a name": { attack: { kind: "slash-names", perSecond: 20 } },
  "line feeds in a body, -d": { attack: { kind: "line-feeds", perSecond: 20 }, users: target, args: ["-d"] },
  "U+2028 in a RAck": { attack: { kind: "rack", perSecond: 20 }, users: target },
  "30,000 options required": { attack: { kind: "require", perSecond: 20 }, users: target },
  "2000 INVITEs a second, one user": { attack: { kind: "invites", perSecond: 2000 }, users: target },
  "the same, 20 users": { attack: { kind: "invites", perSecond: 2000, users: 20 }, users: targets },
  "the same, 20 users, 60 sources": {
    attack: { kind: "invites", perSecond: 2000, users: 20, from: MANY },
    users: targets,
  },
  "2000 MESSAGEs a second": { attack: { kind: "messages", perSecond: 2000 }, users: target },
  "2000 MESSAGEs a second, 60 sources": {
    attack: { kind: "messages", perSecond: 2000, from: MANY },
    users: target,
  },
  "100 wrong logins a second": {
    attack: { kind: "logins", perSecond: 100 },
    args: ["--rtmp-token", TOKEN],
    query: `?token=${TOKEN}`,
  },
  "RTP of unknown sources, 2000 a second": { attack: { kind: "unknown-rtp", perSecond: 2000 } },
};

async function measure(name: string, one: Case, sockets: SocketKind): Promise<void> {
  await using gateway = await startGateway({ cpu: null, args: one.args ?? [], sockets });
  await using load = await startLoad(null);
  await using phones = new AsyncDisposableStack();
  const { rtmpPort, sipPort, pid } = gateway;
  const before = new Set(udpPortsOf(pid));
  const dialled = await load.ask("dial", {
    target: "gateway",
    port: rtmpPort,
    kind: "speex",
    count: CALLS,
    perSecond: 50,
    query: one.query ?? "",
  });
  if (dialled.established < CALLS) throw new Error(dialled.failures.join("\n"));
  for (const user of one.users ?? []) {
    phones.use(await RtmpPhone.connect({ url: `rtmp://127.0.0.1:${rtmpPort}/sip/${user}@127.0.0.1` }));
  }
  const isRtmp = ["slashes", "slash-names", "logins"].includes(one.attack.kind);
  const attack: Attack = {
    ...one.attack,
    port: isRtmp ? rtmpPort : sipPort,
    ports: udpPortsOf(pid).filter((port) => !before.has(port)),
    seconds: WARM_SECONDS + SECONDS + 0.2,
  };
  const talk = () => load.ask("run", { target: "gateway", seconds: SECONDS, warmSeconds: WARM_SECONDS, pid });
  await talk();
  const windows: { calm: RunResult; attacked: RunResult }[] = [];
  let did = "";
  for (let turn = 0; turn < TURNS; turn++) {
    const calm = await talk();
    const { result } = await startAttack(attack);
    windows.push({ calm, attacked: await talk() });
    const { sent, answers } = await result;
    did += ` ${sent}/${answers}`;
  }
  report(name, windows, did, gateway);
}

function report(
  name: string,
  windows: readonly { calm: RunResult; attacked: RunResult }[],
  did: string,
  { troubles }: GatewayProcess,
): void {
  const told = (pick: (one: { calm: RunResult; attacked: RunResult }) => RunResult) =>
    windows.map((one) => wordsOf(pick(one))).join(", ");
  print(
    `| ${name} | ${told(({ attacked }) => attacked)} | ${
      told(({ calm }) => calm)
    } |${did} | ${troubles.length} |`,
  );
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** p99 RTMP to RTP and back in ms, lost packets if any, CPU of the gateway and how long it waited for a core. */
function wordsOf({ audio, loadDrops, cpuMs, waitMs, seconds }: RunResult): string {
  const lost = audio.sentUp - audio.receivedUp + audio.sentDown - audio.receivedDown - loadDrops;
  const [up, down] = [percentilesOf([audio.up]).p99Ms, percentilesOf([audio.down]).p99Ms];
  const share = (ms: number | null) => Math.round((ms ?? 0) / 10 / seconds);
  return `${up}/${down}${lost > 0 ? ` lost ${lost}` : ""} (${share(cpuMs)}%, ${share(waitMs)}%)`;
}

if (import.meta.main) {
  const [sockets = "linux", ...wanted] = Deno.args;
  if (sockets !== "deno" && sockets !== "linux") throw new Error("deno or linux");
  print(`| ${sockets} | attacked: p99 up/down in ms (CPU, waited) | calm | sent/answered | warnings |`);
  for (const [name, one] of Object.entries(CASES)) {
    if (wanted.length === 0 || wanted.some((part) => name.includes(part))) await measure(name, one, sockets);
  }
}
