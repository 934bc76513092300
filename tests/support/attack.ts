// Starts an attacker (attacker.ts) and waits for what it did.
// Role: edge

import type { SlowText } from "./attack_texts.ts";

const PROGRAM = new URL("./attacker.ts", import.meta.url).pathname;

/** What it does, for how long and how fast. */
export interface Attack {
  /**
   * scan, nasty: SIP datagrams; invites: well-formed calls to the user "target", never acknowledged; messages: texts to
   * that user; rtp: garbage to media ports; unknown-rtp: good RTP to them; half-open: connections that say nothing; video:
   * kilobits of junk; commands: RTMP commands; slashes: paths of 60,000 of them in a connect; slash-names: 100,000 in a
   * play; logins: wrong tokens; else one kind of SIP text that was slow to read, see attack_texts.ts; slow-texts: all of them in turn.
   */
  readonly kind:
    | ("scan" | "nasty" | "invites" | "messages" | "rtp" | "unknown-rtp" | "half-open" | "video" | "commands")
    | ("slashes" | "slash-names" | "logins" | "slow-texts")
    | SlowText;
  /** Where: the SIP port, or the RTMP port. */
  readonly port: number;
  /** Media ports, for rtp. */
  readonly ports?: readonly number[];
  /** Path of the RTMP client, for video and commands. */
  readonly app?: string;
  /** Source addresses of datagrams, in turn; 127.0.0.9 unless given. */
  readonly from?: readonly string[];
  /** For invites: "target0" and so many in all are called in turn; absent: "target". */
  readonly users?: number;
  /** Datagrams, connections, kilobits or commands a second. */
  readonly perSecond: number;
  /** For how long. */
  readonly seconds: number;
}

/** What it did. */
export interface AttackResult {
  /** Datagrams, connections or commands; for video the kbit/s that got through. */
  readonly sent: number;
  /** Datagrams that came back; for half-open the connections that were closed on it. */
  readonly answers: number;
}

/** An attack that has begun. */
export interface RunningAttack {
  /** What it did, when it is over. */
  readonly result: Promise<AttackResult>;
}

/**
 * Attacks as a process of its own; resolves when the first packets are on their way.
 * @param cpu the core it is bound to; null: any
 */
export async function startAttack(what: Attack, cpu: number | null = null): Promise<RunningAttack> {
  const run = [Deno.execPath(), "run", "--quiet", "--no-check", "-A", PROGRAM, JSON.stringify(what)];
  const [program, ...args] = cpu === null ? run : ["taskset", "-c", String(cpu), ...run];
  const process = new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const started = Promise.withResolvers<void>();
  const result = (async () => {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of process.stdout) {
      text += decoder.decode(chunk);
      if (text.startsWith(BEGUN)) started.resolve();
    }
    const { code } = await process.status;
    if (code !== 0) throw new Error("the attacker failed");
    return JSON.parse(text.slice(BEGUN.length)) as AttackResult;
  })();
  result.catch(started.reject);
  await started.promise;
  return { result };
}

/** What the attacker prints first. */
export const BEGUN = "attacking\n";
