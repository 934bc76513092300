// The table of call quality: one row a pairing, and what is good enough.
// Role: wire

import type { SpeechQuality, ToneQuality } from "./measure.ts";

/** One pairing, measured. */
export interface Row {
  /** What the RTMP client sends and plays. */
  readonly client: string;
  /** What the SIP phone speaks. */
  readonly peer: string;
  /** What the client was told to send. */
  readonly accepted: string;
  /** The tone that came back. */
  readonly tone: ToneQuality;
  /** The speech that came back. */
  readonly speech: SpeechQuality;
}

/** Farthest from the level that was sent, in dB. */
export const MAX_LEVEL_ERROR_DB = 1;

/** Nothing clicked, nothing was missing, the level is right. */
export function isGood({ tone, speech }: Row): boolean {
  return Math.abs(tone.levelDb) <= MAX_LEVEL_ERROR_DB && tone.clicks + tone.gaps + speech.gaps === 0;
}

const HEADS = ["RTMP client", "SIP phone", "tone dB", "SNR dB", "speech dB", "delay ms", "clicks", "gaps"];

/** The rows as Markdown. */
export function formatTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.client,
    row.peer,
    signed(row.tone.levelDb),
    row.tone.snrDb.toFixed(1),
    signed(row.speech.levelDb),
    row.speech.delayMs.toFixed(0),
    String(row.tone.clicks),
    String(row.tone.gaps + row.speech.gaps),
  ]);
  const widths = HEADS.map((head, i) => Math.max(head.length, ...cells.map((line) => line[i]!.length)));
  const line = (texts: readonly string[]): string =>
    `| ${texts.map((text, i) => i < 2 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!)).join(" | ")} |`;
  const rule = `| ${
    widths.map((width, i) => i < 2 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`).join(" | ")
  } |`;
  return [line(HEADS), rule, ...cells.map(line)].join("\n");
}

function signed(value: number): string {
  const text = value.toFixed(1);
  return value >= 0 && !text.startsWith("-") ? `+${text}` : text;
}

/** The document with its table replaced; the first line that begins with a bar begins the table. @throws Error without one */
export function replaceTable(document: string, table: string): string {
  const lines = document.split("\n");
  const first = lines.findIndex((line) => line.startsWith("|"));
  if (first < 0) throw new Error("the document has no table to replace");
  const after = lines.findIndex((line, i) => i > first && !line.startsWith("|"));
  return [...lines.slice(0, first), table, ...lines.slice(after < 0 ? lines.length : after)].join("\n");
}
