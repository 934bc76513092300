// The URLs of RTMP clients: which application the path of connect names, what a stream of `call` or `line` names, and
// whom `?dial=` calls.
// Role: wire

import { builtInCodecs, type CodecRegistry } from "../codecs/registry.ts";
import { joinStreamPath } from "../rtmp/stream_path.ts";

/** `key` identifies clients that replace each other. */
export type AppPath =
  | { type: "sip"; address: string; key: string }
  | { type: "call" | "line" }
  | { type: "live" }
  /** The name of a stream will say it. */
  | { type: "unnamed" }
  | { type: "rejected"; reason: string };

/** Longest path accepted; a SIP address is far shorter. */
const MAX_PATH_LENGTH = 512;

/** ffmpeg's path of connect ends before the first element with a colon. */
const HINT_OF_COLONS = " (with ffmpeg, a colon in the URL is written %3A)";

/**
 * Parses the `app` of a connect command: sip/alice@example.com, call/desk, line, else a path of streams. A suffix as in
 * sip/alice@example.com/anything lets several clients use one address without replacing each other (siprtmp FAQ,
 * "/random"). Never throws.
 */
export function parseAppPath(app: string): AppPath {
  const path = joinStreamPath(app, "");
  if (path === null || path.length > MAX_PATH_LENGTH) return rejected("the path is too long");
  if (path === "") return { type: "unnamed" };
  const [name = "", address = "", ...suffix] = path.split("/");
  if (name === "call" || name === "line") return { type: name };
  if (name !== "sip") return { type: "live" };
  if (address === "") return rejected(`the SIP address is missing${HINT_OF_COLONS}`);
  const decoded = decodePercent(address);
  if (decoded === null || !/^[^@\s<>"]+@[^@\s<>"]+$/.test(decoded)) {
    return rejected(`"${withoutPassword(address.slice(0, 80))}" is not a SIP address like alice@example.com`);
  }
  const host = decoded.slice(decoded.indexOf("@") + 1);
  // The password of a SIP URI does not count, and must not get into names and the log: connect() has its own.
  const user = decoded.slice(0, decoded.indexOf("@")).split(":", 1)[0]!;
  if (user === "") return rejected("the user of the SIP address is missing");
  const key = ["sip", `${user}@${host.toLowerCase()}`, ...suffix].join("/");
  return { type: "sip", address: `${user}@${host}`, key };
}

/** "alice:secret@host" is shown as "alice:****". */
function withoutPassword(address: string): string {
  const [colon, at] = [address.search(/:|%3a/i), address.search(/@|%40/i)];
  return colon < 0 || at >= 0 && at < colon ? address : `${address.slice(0, colon)}:****`;
}

function rejected(reason: string): AppPath {
  return { type: "rejected", reason: `${reason}; connect to rtmp://this-host/sip/user@domain` };
}

export function decodePercent(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}

const MAX_QUERY_LENGTH = 4096;

/** A plus sign is one, not a space as in web forms: passwords and numbers have them. */
export function parseQuery(query: string): URLSearchParams {
  return new URLSearchParams(query.length > MAX_QUERY_LENGTH ? "" : query.replaceAll("+", "%2B"));
}

type AccountPath =
  | {
    readonly type: "stream";
    readonly account: string;
    /** What stands behind it, decoded; "" for nothing. */
    readonly rest: string;
    readonly key: string | null;
  }
  | { readonly type: "wrong"; readonly reason: string };

interface AccountPathParts {
  readonly app: string;
  readonly connectQuery: string;
  readonly name: string;
  readonly query: string;
}

const MAX_REST_LENGTH = 256;

// deno-lint-ignore no-control-regex -- the control characters are what is looked for
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;

/**
 * Parses what a stream of the call and line applications names, wherever a program cuts it between app and name:
 *
 *   rtmp://gateway/call/desk/+4930123?key=...      call / account / whom to call
 *   rtmp://gateway/line/desk/say?key=...           line / account / `say` or `hear`
 *
 * The query may stand at either. Percent-encoding is undone once. Never throws.
 */
export function parseAccountPath(
  application: "call" | "line",
  { app, connectQuery, name, query }: AccountPathParts,
): AccountPath {
  const whole = joinStreamPath(app, name);
  if (whole === null) return wrong("the name is too long");
  const [first, encodedAccount = "", ...behind] = whole.split("/");
  if (first !== application) return wrong(`the URL is not one of rtmp://this-host/${application}`);
  const account = decodePercent(encodedAccount);
  const rest = decodePercent(behind.join("/"));
  if (account === null || rest === null) return wrong("the percent-encoding in the URL is broken");
  if (account === "") return wrong("the account is missing");
  if (rest.length > MAX_REST_LENGTH) return wrong("the name is too long");
  if (CONTROL.test(account) || CONTROL.test(rest)) return wrong("there are control characters in the name");
  return { type: "stream", account, rest, key: keyIn(query) ?? keyIn(connectQuery) };
}

function wrong(reason: string): AccountPath {
  return { type: "wrong", reason };
}

function keyIn(query: string): string | null {
  return parseQuery(query).get("key");
}

export interface UrlDial {
  readonly destination: string;
  readonly playerCodecs: readonly string[];
  readonly registry: CodecRegistry;
  /** Null: as long as the remote party lets it ring. */
  readonly answerTimeoutSeconds: number | null;
  readonly maxDurationSeconds: number | null;
}

/** What most programs can play, and passes through as it is. */
const PLAYER_CODECS: readonly string[] = ["pcmu", "pcma", "wideband"];

/**
 * Reads `?dial=number`, with which a program that can only publish or play (ffmpeg, ffplay, OBS) makes a call: with its
 * first audio, or with its play. A player may say what it wants: &audio=aac&video=h264; both: &answer-timeout=30 and
 * &max-duration=3600, in seconds.
 */
export function dialledByUrl(query: string, registry: CodecRegistry = builtInCodecs): UrlDial | null {
  const parameters = parseQuery(query);
  const destination = parameters.get("dial")?.trim() ?? "";
  if (destination === "" || destination.length > 256) return null;
  const asked = parameters.get("audio")?.trim().toLowerCase() ?? "";
  const codec = registry.named(asked);
  const audio = codec?.flv === undefined ? PLAYER_CODECS : registry.tokensOf(codec);
  const video = parameters.get("video")?.trim().toLowerCase() === "h264" ? ["h264"] : [];
  return {
    destination,
    playerCodecs: [...audio, ...video],
    registry,
    answerTimeoutSeconds: secondsIn(parameters, "answer-timeout", 600),
    maxDurationSeconds: secondsIn(parameters, "max-duration", 604_800),
  };
}

/** Null for what is not there, 0, or makes no sense: a typing error must not cost the call. */
function secondsIn(parameters: URLSearchParams, name: string, max: number): number | null {
  const text = parameters.get(name)?.trim() ?? "";
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return seconds >= 1 && seconds <= max ? seconds : null;
}
