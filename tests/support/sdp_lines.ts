// Session descriptions as test tables write them.
// Role: wire

/** Lines joined as on the wire. */
export function sdpText(...lines: string[]): string {
  return lines.map((line) => `${line}\r\n`).join("");
}

/** The usual head of a description from 192.0.2.5, followed by the given lines. */
export function fromPhone(...lines: string[]): string {
  return sdpText("v=0", "o=phone 1 1 IN IP4 192.0.2.5", "s=-", "c=IN IP4 192.0.2.5", "t=0 0", ...lines);
}
