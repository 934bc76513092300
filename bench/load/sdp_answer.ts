// Answers to the gateway's offers, taken apart with regular expressions: one codec per kind of media.
// RFC 3264 6, RFC 4566.
// Role: wire

const LOOPBACK = "127.0.0.1";

/** The session part of an answer. */
export function sessionPart(call: number): string {
  return `v=0\r\no=- ${call + 1} 1 IN IP4 ${LOOPBACK}\r\ns=-\r\nc=IN IP4 ${LOOPBACK}\r\nt=0 0\r\n`;
}

/** The media part that takes the first format with this name; null when the offer has none. */
export function answerMedia(
  offer: string,
  kind: "audio" | "video",
  encoding: RegExp,
  port: number,
): string | null {
  const media = mediaPart(offer, kind);
  const mapped = [...media.matchAll(/^a=rtpmap:(\d+) (\S+)/gm)];
  const found = mapped.find(([, , name]) => encoding.test(name!)) ?? statically(media, encoding);
  if (found === null) return null;
  const [, type, name] = found;
  const fmtp = kind === "video" ? fmtpLine(media, type!) : "";
  return `m=${kind} ${port} RTP/AVP ${type}\r\na=rtpmap:${type} ${name}\r\n${fmtp}`;
}

/** Where the offer wants its media; 0 when it has none of the kind. */
export function offeredPort(offer: string, kind: "audio" | "video"): number {
  return Number(/^m=\w+ (\d+)/.exec(mediaPart(offer, kind))?.[1] ?? 0);
}

function mediaPart(offer: string, kind: string): string {
  return offer.split(/^(?=m=)/m).find((part) => part.startsWith(`m=${kind} `)) ?? "";
}

/** PCMU need not be mapped. */
function statically(media: string, encoding: RegExp): readonly string[] | null {
  return encoding.test("PCMU/8000") && /^m=\w+ \d+ \S+(?: \d+)* 0\b/m.test(media)
    ? ["", "0", "PCMU/8000"]
    : null;
}

/** Without the offerer's own parameter sets. */
function fmtpLine(media: string, type: string): string {
  const line = new RegExp(`^a=fmtp:${type} (.*?)\\r?$`, "m").exec(media)?.[1] ?? "";
  const kept = line.split(";").filter((part) => part !== "" && !/^\s*sprop-parameter-sets=/i.test(part));
  return kept.length === 0 ? "" : `a=fmtp:${type} ${kept.join(";")}\r\n`;
}
