// What a worker says first on a connection that carries a client to the home of the streams, so that the home knows
// who the client is, and that nobody else of this machine pretends to be a worker.
//
//   siprtmp-carry SECRET ADDRESS PORT LF     one line of ASCII; after it the client's bytes as they came
//
// The home answers nothing of its own: what it sends is RTMP.
// Role: wire

import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { type Endpoint, isIpAddress } from "../net/endpoint.ts";

/** The line may have so many bytes at most, with its end. */
export const MAX_PREFACE = 256;

const NAME = "siprtmp-carry";
const LINE_END = 10;

/** Who is carried, and how many bytes said so. */
export interface Preface {
  /** What proves that a worker of this run says it. */
  readonly secret: string;
  readonly client: Endpoint;
  readonly length: number;
}

export function encodePreface(secret: string, { hostname, port }: Endpoint): Uint8Array {
  return encodeUtf8(`${NAME} ${secret} ${hostname} ${port}\n`);
}

/** Reads the line at the start of `bytes`; null while its end is missing. @throws WireError for anything else */
export function decodePreface(bytes: Uint8Array): Preface | null {
  const end = bytes.subarray(0, MAX_PREFACE).indexOf(LINE_END);
  if (end < 0 && bytes.length < MAX_PREFACE) return null;
  if (end < 0) throw new WireError("carried client", "the first line does not end");
  const [name, secret = "", hostname = "", digits = "", ...more] = decodeUtf8(bytes.subarray(0, end)).split(
    " ",
  );
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : -1;
  const usable = name === NAME && more.length === 0 && isIpAddress(hostname) && port >= 0 && port <= 65535;
  if (!usable) throw new WireError("carried client", "the first line is not one of ours");
  return { secret, client: { hostname, port }, length: end + 1 };
}
