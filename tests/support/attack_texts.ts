// What an attacker says in SIP.
// Role: wire

function sipText(method: string, uri: string, n: number, spoil = ""): string {
  return `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5060;branch=z9hG4bK${n}${spoil};rport\r\n` +
    `Max-Forwards: 70\r\nFrom: "x" <sip:x@127.0.0.9>;tag=${n}\r\nTo: <${uri.replace(/;.*/, "")}>\r\n` +
    `Call-ID: ${n}@127.0.0.9\r\nCSeq: 1 ${method}\r\nContact: <sip:x@127.0.0.9>\r\n` +
    "User-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n";
}

/** What scanners send, in turn: rubbish, methods we do not serve, names nobody has, broken headers, made-up calls. */
export function scanText(n: number, port: number): string {
  const nobody = `sip:${100 + n % 9000}@127.0.0.1:${port}`;
  switch (n % 8) {
    case 0:
      return `\u0007${n} not SIP at all`;
    case 1:
      return sipText("REGISTER", `sip:127.0.0.1:${port}`, n);
    case 2:
      return sipText("OPTIONS", nobody, n);
    case 3:
      return sipText("INVITE", nobody, n);
    case 4:
      return sipText("INVITE", nobody, n).replace(/CSeq.*\r\n/, "CSeq: many\r\n");
    case 5:
      return sipText("OPTIONS", `sip:127.0.0.1:${port}`, n);
    case 6:
      return sipText("INVITE", nobody, n).replace("\r\n\r\n", "\r\n");
    default:
      return sipText("BYE", nobody, n).replace(/(To: .*)\r\n/, "$1;tag=made-up\r\n");
  }
}

/** What only the parser can tell: broken requests for somebody who is there, and answers to nothing. */
export function nastyText(n: number, port: number): string {
  if (n % 2 === 0) {
    return sipText("INVITE", `sip:u0@127.0.0.1:${port}`, n).replace(/CSeq.*\r\n/, "CSeq: x y\r\n");
  }
  return sipText("INVITE", "sip:x@y", n).replace(/^.*\r\n/, "SIP/2.0 200 OK\r\n");
}

/** A call that nothing is wrong with. */
export function inviteText(n: number, port: number, users?: number): string {
  const user = users === undefined ? "target" : `target${n % users}`;
  const sdp =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\nm=audio 42000 RTP/AVP 0\r\n";
  const described = `Content-Type: application/sdp\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`;
  return sipText("INVITE", `sip:${user}@127.0.0.1:${port}`, n).replace(
    "Content-Length: 0\r\n\r\n",
    described,
  );
}

/** A text that nothing is wrong with. */
export function messageText(n: number, port: number): string {
  const described = "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
  return sipText("MESSAGE", `sip:target@127.0.0.1:${port}`, n).replace(
    "Content-Length: 0\r\n\r\n",
    described,
  );
}

/** Texts of which one was enough to stop the program for tenths of a second, or seconds. */
export type SlowText = keyof typeof SLOW_TEXTS;

/** By name: blanks and U+2028 in a Via, colons in its host, line feeds in a body, U+2028 in a RAck, options required. */
export const SLOW_TEXTS = {
  "via-blanks": (n: number, port: number): string =>
    options(n, port).replace(/^Via:.*\r\n/m, `Via: SIP/2.0/UDP ${" ".repeat(1300)}a;\u2028x\r\n`),
  "via-colons": (n: number, port: number): string =>
    options(n, port).replace(/^Via:.*\r\n/m, `Via: SIP/2.0/UDP [${":".repeat(60_000)}x]\r\n`),
  "line-feeds": (n: number, port: number): string =>
    options(n, port).replace(
      "Content-Length: 0\r\n\r\n",
      `Content-Type: text/plain\r\nContent-Length: 60002\r\n\r\nx${"\n".repeat(60_000)}x`,
    ),
  "rack": (n: number, port: number): string =>
    sipText("PRACK", `sip:target@127.0.0.1:${port}`, n).replace(
      "Max-Forwards",
      `RAck: 1${" ".repeat(30_000)}1${" ".repeat(30_000)}INVITE\u2028x\r\nMax-Forwards`,
    ),
  "require": (n: number, port: number): string =>
    options(n, port).replace("Max-Forwards", `Require: ${"a,".repeat(29_999)}a\r\nMax-Forwards`),
} as const;

function options(n: number, port: number): string {
  return sipText("OPTIONS", `sip:target@127.0.0.1:${port}`, n);
}
