// Matches audio that came back with audio that was sent, by its bytes and in order (looped samples too): what was lost,
// altered, repeated, how long the round took; and says in plain words what those figures of a trial call mean.
// Role: machine

/** What was measured. Times in ms; null when nothing matched. */
export interface EchoReport {
  readonly sent: number;
  readonly returned: number;
  /** Of those, equal to one that was sent, in order. */
  readonly matched: number;
  readonly sentBytes: number;
  readonly returnedBytes: number;
  readonly roundTripMs: { readonly min: number; readonly median: number; readonly max: number } | null;
  /** Longest silence between two returned messages. */
  readonly longestGapMs: number;
}

/** Unmatched messages remembered; older ones count as lost. 200 s of 20 ms packets. */
const MAX_PENDING = 10_000;

interface Pending {
  readonly key: string;
  readonly atMs: number;
}

export class EchoMeter {
  readonly #pending: Pending[] = [];
  readonly #roundTrips: number[] = [];
  #head = 0;
  #sent = 0;
  #returned = 0;
  #sentBytes = 0;
  #returnedBytes = 0;
  #lastReturnMs: number | null = null;
  #longestGapMs = 0;

  sent(payload: Uint8Array, nowMs: number): void {
    this.#sent++;
    this.#sentBytes += payload.length;
    if (this.#pending.length - this.#head >= MAX_PENDING) this.#head++;
    this.#pending.push({ key: keyOf(payload), atMs: nowMs });
  }

  returned(payload: Uint8Array, nowMs: number): void {
    this.#returned++;
    this.#returnedBytes += payload.length;
    if (this.#lastReturnMs !== null) {
      this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastReturnMs);
    }
    this.#lastReturnMs = nowMs;
    const key = keyOf(payload);
    for (let at = this.#head; at < this.#pending.length; at++) {
      if (this.#pending[at]!.key !== key) continue;
      this.#roundTrips.push(nowMs - this.#pending[at]!.atMs);
      this.#head = at + 1; // what was sent before it and has not come back is lost
      return;
    }
  }

  /** True when everything sent has come back. */
  get complete(): boolean {
    return this.#roundTrips.length >= this.#sent;
  }

  report(): EchoReport {
    const times = [...this.#roundTrips].sort((a, b) => a - b);
    return {
      sent: this.#sent,
      returned: this.#returned,
      matched: times.length,
      sentBytes: this.#sentBytes,
      returnedBytes: this.#returnedBytes,
      roundTripMs: times.length === 0
        ? null
        : { min: times[0]!, median: times[times.length >> 1]!, max: times[times.length - 1]! },
      longestGapMs: this.#longestGapMs,
    };
  }
}

/** The bytes as text: exact, and cheap at a hundred messages a second. */
function keyOf(payload: Uint8Array): string {
  return String.fromCharCode(...payload.subarray(0, 512)) + payload.length;
}

export type TrialOutcome =
  | { type: "refused by gateway"; reason: string }
  | { type: "rejected"; reason: string }
  | { type: "no answer" }
  | { type: "cut"; reason: string; echo: EchoReport }
  | { type: "completed"; echo: EchoReport };

/** The verdict: good enough to exit with 0, and what to tell the person. */
interface Verdict {
  /** Whether the program ends with 0. */
  readonly good: boolean;
  readonly text: string;
}

export function judge(outcome: TrialOutcome): Verdict {
  switch (outcome.type) {
    case "refused by gateway":
      return bad(`The gateway rejected the client: ${outcome.reason}.${hintFor(outcome.reason)}`);
    case "rejected":
      return bad(`The call was not answered: ${outcome.reason}.${hintFor(outcome.reason)}`);
    case "no answer":
      return bad(
        "The gateway never said what became of the call. Run it with -d and look at its SIP messages.",
      );
    case "cut":
      return bad(`The call was up and ended too soon: ${outcome.reason}.`);
    case "completed":
      return judgeEcho(outcome.echo);
  }
}

function judgeEcho(echo: EchoReport): Verdict {
  if (echo.sent === 0) {
    return bad("The call was up, but there was nothing to send: is there audio in the file?");
  }
  if (echo.returned === 0) {
    return bad(
      "The call was up and silent: nothing came back. If the remote party should answer, look at the address in the " +
        "SDP (-e sets it), at firewalls for UDP, and at the codec.",
    );
  }
  const lost = echo.sent - echo.matched;
  if (lost === 0) return { good: true, text: `It works: everything you sent came back, ${timeOf(echo)}.` };
  if (echo.matched < echo.sent / 10) {
    return {
      good: true,
      text:
        "It works, as far as can be told: the remote party sends audio of its own, or coded anew, so what " +
        "was sent cannot be found in it.",
    };
  }
  const percent = (100 * lost / echo.sent).toFixed(1);
  return bad(`The call was up, but ${lost} of ${echo.sent} packets (${percent} %) did not come back.`);
}

function timeOf(echo: EchoReport): string {
  return echo.roundTripMs === null ? "" : `${echo.roundTripMs.median.toFixed(1)} ms after it left`;
}

/** True for a 503 in the gateway's own words: nothing was sent, because no way there was found. */
export function isLocal503(reason: string): boolean {
  return /^503 (?:Cannot |No way |no address |sips: |\S+ cannot be reached )/.test(reason);
}

/** What usually helps, by the SIP status the reason starts with. */
function hintFor(reason: string): string {
  if (isLocal503(reason)) return " Nothing was sent: check the SIP address.";
  switch (/^\d{3}/.exec(reason)?.[0]) {
    case "401":
    case "407":
      return " Check login and password.";
    case "403":
      return " It is not allowed, by the gateway (its log says so, then) or by the SIP server: check number, login and password.";
    case "404":
      return " The SIP server knows nobody of that name: is the remote party registered there?";
    case "408":
      return " The SIP server did not answer: check its address and port, and that UDP reaches it.";
    case "503":
      return " The SIP server cannot take the call now, or cannot be reached.";
    case "480":
      return " The remote party is known but not registered now.";
    case "486":
      return " The remote party is busy.";
    case "488":
      return " The two sides have no codec in common: try --codec pcmu.";
    default:
      return "";
  }
}

function bad(text: string): Verdict {
  return { good: false, text };
}

export type Party = "client" | "gateway" | "sip";

export interface LadderStep {
  /** Milliseconds since the start. */
  readonly atMs: number;
  readonly from: Party;
  /** Who is spoken to; the speaker itself makes a note. */
  readonly to: Party;
  readonly text: string;
}

const TIME_WIDTH = 9;
const LANE_WIDTH = 34;
const LEFT: Record<Party, number> = { client: 0, gateway: LANE_WIDTH, sip: 2 * LANE_WIDTH };

/** The ladder as lines of text, in the order of the steps' times. */
export function formatLadder(steps: readonly LadderStep[], names: Record<Party, string>): string[] {
  const head = " ".repeat(TIME_WIDTH) + names.client.padEnd(LANE_WIDTH) + names.gateway.padEnd(LANE_WIDTH) +
    names.sip;
  const rule = " ".repeat(TIME_WIDTH) + "|".padEnd(LANE_WIDTH) + "|".padEnd(LANE_WIDTH) + "|";
  const rows = [...steps].sort((a, b) => a.atMs - b.atMs).map(formatStep);
  return [head.trimEnd(), rule, ...rows, rule];
}

function formatStep(step: LadderStep): string {
  const time = `${step.atMs.toFixed(0)} ms`.padStart(TIME_WIDTH - 1) + " ";
  const lanes = ["client", "gateway", "sip"] as const;
  const from = Math.min(LEFT[step.from], LEFT[step.to]);
  const to = Math.max(LEFT[step.from], LEFT[step.to]);
  if (from === to) return `${time}${bars(from, lanes)}| ${step.text}`;
  const arrow = drawArrow(step.text, to - from - 1, LEFT[step.from] < LEFT[step.to]);
  const before = lanes.filter((lane) => LEFT[lane] < from).map(() => "|".padEnd(LANE_WIDTH)).join("");
  const after = lanes.filter((lane) => LEFT[lane] > to).map(() => " ".repeat(LANE_WIDTH - 1) + "|").join("");
  return `${time}${before}|${arrow}|${after}`;
}

function bars(until: number, lanes: readonly Party[]): string {
  return lanes.filter((lane) => LEFT[lane] < until).map(() => "|".padEnd(LANE_WIDTH)).join("");
}

/** `-- text --->` or `<-- text ---`, exactly `width` wide; a long text is cut. */
function drawArrow(text: string, width: number, right: boolean): string {
  const room = width - 6;
  const label = text.length > room ? `${text.slice(0, room - 2)}..` : text;
  const line = "-".repeat(Math.max(0, width - label.length - 4));
  return right ? `- ${label} ${line}>` : `<${line} ${label} -`;
}
