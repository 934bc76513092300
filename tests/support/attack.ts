// Starts an attacker (attacker.ts) and waits for what it did.
// Role: edge

const PROGRAM = new URL("./attacker.ts", import.meta.url).pathname;

/** What it does, for how long and how fast. */
export interface Attack {
  /**
   * scan, nasty: SIP datagrams; invites: well-formed calls to the user "target", never acknowledged; rtp: garbage to media ports; half-open: connections that say nothing; video:
   * kilobits of junk; commands: RTMP commands.
   */
  readonly kind: "scan" | "nasty" | "invites" | "rtp" | "half-open" | "video" | "commands";
  /** Where: the SIP port, or the RTMP port. */
  readonly port: number;
  /** Media ports, for rtp. */
  readonly ports?: readonly number[];
  /** Path of the RTMP client, for video and commands. */
  readonly app?: string;
  /** Source address of datagrams. */
  readonly from?: string;
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
