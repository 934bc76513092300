// What an RTMPT request asks for, from its path: /open/1, /send/<session>/<sequence>, /idle/..., /close/...
// Anything else does not exist, /fcs/ident2 included: a Flash client that is told so goes on with /open.
// Role: wire

export type TunnelRequest =
  | { type: "open" }
  | { type: "send" | "idle" | "close"; session: string; sequence: number }
  | { type: "unknown" };

const UNKNOWN: TunnelRequest = { type: "unknown" };

/** Never throws: what cannot be read is unknown. */
export function parseTunnelPath(path: string): TunnelRequest {
  if (/^\/open(\/\d{0,10})?$/.test(path)) return { type: "open" };
  const match = /^\/(send|idle|close)\/([A-Za-z0-9]{1,64})\/(\d{1,10})$/.exec(path);
  if (match === null) return UNKNOWN;
  return { type: match[1] as "send" | "idle" | "close", session: match[2]!, sequence: Number(match[3]) };
}
