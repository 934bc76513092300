// Host names where a session description usually has addresses (RFC 8866 5.7 `c=`, RFC 3605 `a=rtcp`): found in the
// text, looked up by whoever can, and written over. What cannot be resolved stays, and the reader decides.
// Role: edge

import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import { MAX_SDP_LENGTH } from "./description.ts";

/** Gives an address of a host, of this family if there is one; null: nobody knows any. */
export type LookUp = (name: string, family: 4 | 6) => Promise<string | null>;

/** Names of one description that are looked up: session and media level, RTCP. */
const MAX_NAMES = 4;

const NETTYPE = "IN";

interface NamedLine {
  readonly index: number;
  readonly name: string;
  readonly family: 4 | 6;
}

/** The description with addresses; the same bytes when it has no names, or none that can be resolved. */
export async function withAddresses(bytes: Uint8Array, lookUp: LookUp): Promise<Uint8Array> {
  if (bytes.length > MAX_SDP_LENGTH) return bytes;
  const lines = decodeUtf8(bytes).split("\n");
  const named = lines.flatMap((line, index) => namedLine(line, index) ?? []);
  if (named.length === 0) return bytes;
  const wanted = new Map(named.map(({ name, family }) => [`${family} ${name}`, { name, family }]));
  const found = new Map<string, string | null>();
  const first = [...wanted].slice(0, MAX_NAMES);
  await Promise.all(first.map(async ([key, { name, family }]) => found.set(key, await lookUp(name, family))));
  for (const { index, name, family } of named) {
    const address = found.get(`${family} ${name}`) ?? null;
    if (address !== null) lines[index] = rewritten(lines[index]!, address);
  }
  return [...found.values()].every((address) => address === null) ? bytes : encodeUtf8(lines.join("\n"));
}

function namedLine(line: string, index: number): NamedLine | null {
  const [nettype, family, address] = placesOf(line);
  const name = (address ?? "").split("/")[0]!;
  if (nettype?.toUpperCase() !== NETTYPE || !isHostName(name)) return null;
  return { index, name: name.toLowerCase(), family: family?.toUpperCase() === "IP6" ? 6 : 4 };
}

/** "IN", "IP4" and the address of a line that has them, else nothing. */
function placesOf(line: string): string[] {
  if (line.startsWith("c=")) return line.slice(2).trim().split(/\s+/);
  return line.startsWith("a=rtcp:") ? line.slice("a=rtcp:".length).trim().split(/\s+/).slice(1) : [];
}

function rewritten(line: string, address: string): string {
  const family = address.includes(":") ? "IP6" : "IP4";
  const end = line.endsWith("\r") ? "\r" : "";
  if (line.startsWith("c=")) return `c=${NETTYPE} ${family} ${address}${end}`;
  const port = line.slice("a=rtcp:".length).trim().split(/\s+/)[0];
  return `a=rtcp:${port} ${NETTYPE} ${family} ${address}${end}`;
}

/** Letters tell a name from an address; underscores are no good style and are used. */
function isHostName(text: string): boolean {
  return /^[A-Za-z0-9._-]{1,253}$/.test(text) && /[A-Za-z]/.test(text);
}
