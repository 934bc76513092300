// What lib/sip reads: values, messages, streams of them, and what is asked of a message before anybody is known.
// Role: wire

import { WireError } from "../../lib/base/errors.ts";
import { parseAlgorithm, parseAuthValue, parseChallenge } from "../../lib/sip/ua/digest.ts";
import {
  bodyOf,
  bodyText,
  isOptional,
  isText,
  mediaType,
  multipartParts,
  sessionBodyOf,
  textBody,
} from "../../lib/sip/message/body.ts";
import {
  messageRefusal,
  peerAllows,
  peerRequires,
  peerSupports,
  refusalOf,
  unsupportedOptions,
} from "../../lib/sip/ua/capabilities.ts";
import {
  decodeSipDatagram,
  findHeadEnd,
  isKeepAlive,
  peekMessage,
  SipStreamParser,
} from "../../lib/sip/message/parser.ts";
import { callerHeaders, readExtraHeaders, readFromUser } from "../../lib/sip/message/extra_headers.ts";
import {
  clip,
  endOfQuoted,
  isMadeOf,
  isToken,
  ownText,
  parseDecimal,
  parseParams,
  quote,
  splitOutside,
  trimBlanks,
  trimEmptyParams,
  unquote,
} from "../../lib/sip/message/grammar.ts";
import { headerKey, headerName } from "../../lib/sip/message/header.ts";
import {
  parseContentType,
  parseCSeq,
  parseDeltaSeconds,
  parseRAck,
  parseSessionExpires,
  parseVia,
  readVia,
  warningText,
} from "../../lib/sip/message/header_values.ts";
import {
  acknowledgementKey,
  callIdOf,
  cseqOf,
  dialogIdOfRequest,
  hasUniqueBranch,
  mergeKey,
  serverKey,
  tagsOf,
} from "../../lib/sip/message/matching.ts";
import {
  createResponse,
  encodeSipMessage,
  messageText,
  messageTitle,
  NO_BODY,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../../lib/sip/message/message.ts";
import { contentLengthOf, parseMessageHead, requestProblem } from "../../lib/sip/message/message_head.ts";
import {
  formatNameAddr,
  parseDestination,
  parseNameAddr,
  parseNameAddrList,
  parseRoute,
  readNameAddr,
} from "../../lib/sip/message/name_addr.ts";
import { grantedExpires } from "../../lib/sip/ua/registration.ts";
import { recordSource } from "../../lib/sip/message/target.ts";
import { minSeOf, sessionExpiresOf } from "../../lib/sip/ua/session_timer.ts";
import {
  formatSipUri,
  parseHostPort,
  parseSipUri,
  sameSipUri,
  schemeOf,
  unescapeUri,
  USER_SAFE,
  withoutSeparators,
} from "../../lib/sip/message/uri.ts";
import { named, type Subject, text, utf8 } from "../support/linear_time.ts";
import { findTransport } from "../../lib/sip/message/transports.ts";

const URI = "sip:alice:p%41w@[2001:db8::1]:5060;transport=tcp;lr?subject=x&y=z";
const VIA = "SIP / 2.0 / UDP [2001:db8::1] : 5060 ;branch=z9hG4bK1;rport;received=192.0.2.1";
const ADDRESS = '"A \\"B\\" (c)" <sip:a@b:5060;lr?x=y>;tag=1;q="0.5"';

/** Most kinds of values in one message. */
const INVITE = [
  "INVITE sip:bob:pw@example.net;user=phone SIP/2.0",
  "v: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport, SIP/2.0/TCP h",
  'From: "A, B" <sip:a@b;x=y>;tag=1',
  "t: sip:n@x",
  "Call-ID: 1@h",
  "CSeq: 1 INVITE",
  "Require: timer, a",
  "Contact: <sip:a@192.0.2.1>, <sip:c@d>;q=0.1",
  'Warning: 399 h "a"',
  "Session-Expires: 90;refresher=uac",
  "Content-Type: multipart/mixed;boundary=b",
  "Content-Length: 61",
  "",
  "--b",
  "Content-Type: application/sdp",
  "",
  "v=0",
  "--b",
  "",
  "hello",
  "--b--",
].join("\r\n");

/** Little but a list of option tags. */
const OPTIONS = [
  "OPTIONS sip:a SIP/2.0",
  "Via: SIP/2.0/UDP h",
  "From: <sip:a@b>;tag=1",
  "To: sip:n@x",
  "Call-ID: 1",
  "CSeq: 1 OPTIONS",
  "Require: timer, a",
  "",
  "",
].join("\r\n");

const REGISTERED = [
  "SIP/2.0 200 OK",
  "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
  "From: <sip:a@b>;tag=1",
  "To: <sip:a@b>;tag=2",
  "Call-ID: 1",
  "CSeq: 1 REGISTER",
  "Contact: <sip:a@h;line=x>;expires=60, <sip:c@d>;q=0.1",
  'WWW-Authenticate: Digest realm="r", nonce="n"',
  "Session-Expires: 90",
  "",
  "",
].join("\r\n");

/** What is asked of a message, which is decoded out of the measured time; one that cannot be is nothing to ask. */
function asked<M extends SipMessage>(
  name: string,
  samples: string[],
  ...questions: ((message: M) => unknown)[]
): Subject {
  const ask = (message: M | null): void => {
    for (const question of message === null ? [] : questions) orWireError(() => question(message!));
  };
  return { ...named(name, () => {}, ...samples), prepare: decoded, call: ask };
}

function decoded(text: string): SipMessage | null {
  return orWireError(() => decodeSipDatagram(new TextEncoder().encode(text)).message) ?? null;
}

function orWireError<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** A stream cut into pieces. */
function inPieces(bytes: Uint8Array, octets: number): void {
  const parser = new SipStreamParser();
  for (let at = 0; at < bytes.length; at += octets) parser.push(bytes.subarray(at, at + octets), () => {});
}

/** All there is. */
export const SIP_PARSERS: readonly Subject[] = [
  text("sip/ua/digest.ts", parseAuthValue, 'Digest  realm="a, \\"b", nonce=c ,qop="auth,auth-int"'),
  text("sip/message/body.ts", mediaType, "application/sdp ;charset=utf-8"),
  text("sip/ua/digest.ts", parseAlgorithm, "SHA-256-sess"),
  text(
    "sip/ua/digest.ts",
    parseChallenge,
    'Digest realm="r", nonce="n", qop="auth, auth-int", stale=true',
  ),
  text("sip/message/grammar.ts", isToken, "a.b-c"),
  named("findTransport", (text) => findTransport(text), "tcp"),
  named("isMadeOf", (text) => isMadeOf(text, USER_SAFE), "01234"),
  text("sip/message/grammar.ts", trimBlanks, " a\t\r\n b "),
  text("sip/message/grammar.ts", trimEmptyParams, "a;b;; ;"),
  named("endOfQuoted", (text) => endOfQuoted(text, 0), '"a \\"b" c'),
  named("splitOutside", (text) => splitOutside(text, ",", true), 'a, "b, \\"c", <d,e>;f=g, h'),
  text("sip/message/grammar.ts", unquote, '"a \\"b" c'),
  text("sip/message/grammar.ts", quote, 'a "b" \\c'),
  text("sip/message/grammar.ts", parseParams, ';a;b=c ; d = "e;\\"f" ;g=[::1]'),
  named("parseDecimal", (text) => parseDecimal(text, 65535), "5060"),
  text("codecs/g722.ts", clip, "a b\tc"),
  text("sip/message/grammar.ts", ownText, "a b\tc"),
  text("sip/message/header.ts", headerKey, "Call-ID"),
  text("sip/message/header.ts", headerName, "Call-ID"),
  text("sip/message/header_values.ts", parseCSeq, "1  INVITE"),
  text("sip/message/header_values.ts", parseRAck, "1 2  INVITE"),
  text("sip/message/header_values.ts", parseDeltaSeconds, "60 (a) ;b=c"),
  text("sip/message/header_values.ts", parseContentType, 'multipart / mixed ; boundary="a b";c=d'),
  text("sip/message/header_values.ts", parseSessionExpires, "90 ;refresher = uac"),
  text("sip/message/header_values.ts", warningText, '399 h:5060 "a \\"b", 370 i "c"'),
  text("sip/message/header_values.ts", parseVia, VIA),
  text("sip/message/header_values.ts", readVia, VIA),
  text("sip/message/name_addr.ts", parseNameAddr, ADDRESS, "sip:a@b;tag=1"),
  text("sip/message/name_addr.ts", readNameAddr, ADDRESS),
  text("sip/message/name_addr.ts", parseRoute, ADDRESS, URI),
  text("sip/message/name_addr.ts", parseNameAddrList, `${ADDRESS}, <sip:c@d>`),
  named(
    "parseDestination",
    (text) => parseDestination(text, "example.com"),
    ADDRESS,
    "+49 (30) 123",
    URI,
    "a@::1",
  ),
  text("sip/message/uri.ts", schemeOf, URI),
  text("sip/message/uri.ts", parseSipUri, URI, "tel:+49-30-(123);phone-context=+49"),
  text("sip/message/uri.ts", parseHostPort, "[2001:db8::1]:5060", "example.com:5060"),
  text("sip/message/uri.ts", withoutSeparators, "+49-30 (123)"),
  text("sip/message/uri.ts", unescapeUri, "a%41%zz+b"),
  named("sameSipUri formatSipUri", (text) => {
    const [a, b] = [parseSipUri(text), parseSipUri(text)];
    return sameSipUri(a, b) && formatSipUri(a) === formatSipUri(b);
  }, URI),
  named(
    "readExtraHeaders",
    (text) => readExtraHeaders({ [text]: text, "X-A": text }),
    "X-A b",
  ),
  text("sip/message/extra_headers.ts", readFromUser, "alice"),
  asked("callerHeaders", [INVITE], callerHeaders),
  utf8(
    "findHeadEnd isKeepAlive",
    (bytes) => findHeadEnd(bytes, 0) ?? isKeepAlive(bytes),
    "A: b\r\n\r\nc",
  ),
  utf8("peekMessage", peekMessage, INVITE),
  text(
    "sip/message/message_head.ts",
    parseMessageHead,
    INVITE.slice(0, INVITE.indexOf("\r\n\r\n")),
    REGISTERED.trim(),
  ),
  utf8("decodeSipDatagram", decodeSipDatagram, INVITE, REGISTERED),
  utf8("SipStreamParser", (bytes) => inPieces(bytes, bytes.length), INVITE),
  utf8("SipStreamParser in pieces", (bytes) => inPieces(bytes, 64), INVITE),
  asked(
    "serverKey",
    [INVITE, OPTIONS],
    serverKey,
    mergeKey,
    hasUniqueBranch,
    acknowledgementKey,
  ),
  asked("cseqOf", [INVITE, OPTIONS], cseqOf, tagsOf, callIdOf, dialogIdOfRequest),
  asked(
    "requestProblem",
    [INVITE, OPTIONS],
    (message: SipRequest) => requestProblem(message.method, message.headers),
    (message) => contentLengthOf(message.headers),
  ),
  asked("refusalOf", [INVITE, OPTIONS], refusalOf, messageRefusal, unsupportedOptions),
  asked(
    "peerSupports",
    [INVITE, OPTIONS],
    (m) => peerSupports(m, "x"),
    (m) => peerRequires(m, "x"),
    (m) => peerAllows(m, "X"),
  ),
  asked("bodyOf sessionBodyOf", [INVITE, OPTIONS], sessionBodyOf),
  asked("multipartParts", [INVITE], (message) => {
    const body = bodyOf(message);
    return body === null ? null : multipartParts(body);
  }),
  text("sip/message/body.ts", isOptional, "session ; handling=optional"),
  named("isText", (type) => isText({ type, bytes: NO_BODY }), "text/plain;charset=utf-8"),
  utf8("bodyText", (bytes) => bodyText({ ...textBody(""), bytes }), "a\r\nb"),
  asked("encodeSipMessage", [INVITE, OPTIONS], encodeSipMessage),
  asked(
    "createResponse",
    [INVITE, OPTIONS],
    (message: SipRequest) => encodeSipMessage(createResponse(message, 420, "x", "tag")),
  ),
  asked("messageText", [INVITE, OPTIONS], messageText, messageTitle),
  asked(
    "recordSource",
    [INVITE, OPTIONS],
    (message: SipRequest) => recordSource(message, { hostname: "192.0.2.2", port: 5060 }),
  ),
  asked(
    "grantedExpires",
    [REGISTERED],
    (message: SipResponse) => grantedExpires(message, parseSipUri("sip:a@h;line=x"), 60),
  ),
  asked("sessionExpiresOf", [REGISTERED], sessionExpiresOf, minSeOf),
  asked(
    "formatNameAddr",
    [INVITE, OPTIONS],
    (message) => formatNameAddr(parseNameAddr(message.headers.get("From")!)),
  ),
];
