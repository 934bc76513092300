// Options of `siprtmp call` (and of the demo's sample call), checked.
// Answers to: nothing in siprtmp; the test call of rtmpclient.py is the nearest.
// Role: wire

import { ConfigError } from "../base/errors.ts";

/** Audio a trial call can send: Speex 16 kHz, Speex 8 kHz, G.711 in both laws. */
export type CallCodec = "speex" | "narrowband" | "pcmu" | "pcma";

/** Every trial codec, in the order of the help. */
export const callCodecs: readonly CallCodec[] = ["speex", "narrowband", "pcmu", "pcma"];

export type CallSource =
  | { readonly kind: "sample"; readonly codec: CallCodec; readonly durationSeconds: number }
  | {
    readonly kind: "file";
    readonly path: string;
    /** Codec to ask for; null: the one the file has. */
    readonly codec: CallCodec | null;
    /** Longest time to send; null: to the end of the file. */
    readonly durationSeconds: number | null;
  };

export interface CallOptions {
  /** RTMP URL of the gateway with the caller's SIP address. */
  readonly url: string;
  readonly destination: string;
  readonly source: CallSource;
  /** FLV file for what comes back; null: it is only counted. */
  readonly record: string | null;
  /** User name for the SIP server; null: from the URL. */
  readonly login: string | null;
  /** Password for the SIP server; empty: no registration. Never log it. */
  readonly password: string;
  /** Name shown to the person called; null: none. */
  readonly displayName: string | null;
}

/** Length of a sample call when nobody says, in seconds. */
const DEFAULT_DURATION_SECONDS = 10;

/** Longest trial call, in seconds. */
const MAX_DURATION_SECONDS = 86400;

/** Values of options by their names, as the command line gives them. */
export type OptionValues = Readonly<Record<string, unknown>>;

/** Checks the words and options of `siprtmp call`. @throws ConfigError in words for the person */
export function readCallOptions(url: string, destination: string, values: OptionValues): CallOptions {
  return {
    url: checkUrl(url),
    destination: checkDestination(destination),
    source: readSource(values),
    record: textOf(values.record),
    login: textOf(values.login),
    password: textOf(values.password) ?? "",
    displayName: textOf(values.name),
  };
}

/** Checks what a sample call sends and how long. @throws ConfigError in words for the person */
export function readSample(values: OptionValues): { codec: CallCodec; durationSeconds: number } {
  return {
    codec: readCodec(values.codec) ?? "speex",
    durationSeconds: readDuration(values.duration) ?? DEFAULT_DURATION_SECONDS,
  };
}

function readSource(values: OptionValues): CallSource {
  const path = textOf(values.file);
  if (path === null) return { kind: "sample", ...readSample(values) };
  return {
    kind: "file",
    path,
    codec: readCodec(values.codec),
    durationSeconds: readDuration(values.duration),
  };
}

function readCodec(value: unknown): CallCodec | null {
  const name = textOf(value);
  if (name === null) return null;
  const codec = callCodecs.find((known) => known === name.toLowerCase());
  if (codec === undefined) {
    throw new ConfigError(`--codec must be one of ${callCodecs.join(", ")}, not "${name}"`);
  }
  return codec;
}

function readDuration(value: unknown): number | null {
  const text = textOf(value);
  if (text === null) return null;
  const seconds = /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds > 0 && seconds <= MAX_DURATION_SECONDS) return seconds;
  throw new ConfigError(
    `--duration must be a number of seconds up to ${MAX_DURATION_SECONDS}, not "${text}"`,
  );
}

function checkUrl(text: string): string {
  const example = "rtmp://localhost/sip/alice@localhost";
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.protocol !== "rtmp:" || url.hostname === "" || url.pathname.length < 2) {
    throw new ConfigError(`the URL must look like ${example}, not "${text}"`);
  }
  return text;
}

function checkDestination(text: string): string {
  const trimmed = text.trim();
  if (trimmed === "" || /\p{Cc}/u.test(trimmed)) {
    throw new ConfigError(`the SIP address must look like echo@localhost, not ${JSON.stringify(text)}`);
  }
  return trimmed;
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
