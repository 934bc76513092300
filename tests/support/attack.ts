// Starts an attacker (attacker.ts) and waits for what it did.
// Role: edge

const PROGRAM = new URL("./attacker.ts", import.meta.url).pathname;

/** What it does, for how long and how fast. */
export interface Attack {
  /**
   * scan, nasty: SIP datagrams; rtp: garbage to media ports; half-open: connections that say nothing; video:
   * kilobits of junk; commands: RTMP commands.
   */
  readonly kind: "scan" | "nasty" | "rtp" | "half-open" | "video" | "commands";
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

/** Attacks as a process of its own, from the moment this is called. */
export async function attack(what: Attack): Promise<AttackResult> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "-A", PROGRAM, JSON.stringify(what)],
    stdin: "null",
  }).output();
  if (code !== 0) throw new Error(`the attacker failed: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout)) as AttackResult;
}
