// RTMP URLs as the client needs them: rtmp://host[:port]/app[?query]. The whole path is the application;
// stream names are given to publish() and play().
// Role: wire

import { WireError } from "../base/errors.ts";

/** Where to connect, and what to say there. */
export interface RtmpUrl {
  /** Name or address; IPv6 without brackets. */
  hostname: string;
  /** 1935 unless given. */
  port: number;
  /** Path without its first slash, with the query when there is one. */
  app: string;
  /** The URL as it is told to the server. */
  tcUrl: string;
}

const DEFAULT_PORT = 1935;

/** Reads an rtmp:// URL. Throws WireError in words for the person who typed it. */
export function parseRtmpUrl(text: string): RtmpUrl {
  const match = /^rtmp:\/\/(?:\[([0-9a-f:.%]+)\]|([^\/?#:\[\]@\s]+))(?::(\d{1,5}))?(?:\/([^\s#]*))?$/i.exec(
    text.trim(),
  );
  const hostname = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (hostname === undefined || port < 1 || port > 65535) {
    throw new WireError("RTMP URL", `"${text.slice(0, 200)}" is not rtmp://HOST[:PORT]/APP`);
  }
  return { hostname, port, app: match?.[4] ?? "", tcUrl: text.trim() };
}
