// The path of an RTMP connect: "sip/alice@example.com" or "sip/alice@example.com/anything", "call/desk", "line".
// The first element chooses the application, every other name than sip, call and line is a path of streams. Behind
// sip stands the user's SIP identity; a suffix lets several clients use one address without replacing each other
// (siprtmp FAQ, "/random").
// Role: wire

import { joinStreamPath } from "../../rtmp/stream_path.ts";

/** What an RTMP connect path asks for. `key` identifies clients that replace each other. */
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

/** Parses the `app` of a connect command; never throws, a refusal is a value. */
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

/** Undoes percent-encoding; null when it is broken. */
export function decodePercent(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}
