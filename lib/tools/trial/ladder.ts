// Draws who said what to whom, with times: RTMP client on the left, gateway in the middle, SIP on the right.
// Role: wire

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
