// Text that is not SIP: paths and names of RTMP, session descriptions, HTTP, addresses, settings, log lines.
// Role: wire

import { addressKey, sourceKey } from "../../lib/gateway/access/address_limits.ts";
import { isUserName, parseUsers } from "../../lib/gateway/access/users_file.ts";
import { parseArguments } from "../../lib/app/options.ts";
import { fromHex, trimCharacters, trimEndCharacters } from "../../lib/base/bytes.ts";
import { ConfigError, messageOf, WireError } from "../../lib/base/errors.ts";
import { openLog } from "../../lib/base/log.ts";
import { maskSecrets } from "../../lib/base/mask_secrets.ts";
import { formatWarning } from "../../lib/call/negotiation.ts";
import { readSdpBody } from "../../lib/call/media_session.ts";
import { callPath } from "../../lib/call/leg.ts";
import { parseInfo } from "../../lib/sip/message/info_bodies.ts";
import { parseAccounts, readSipAccount, sameAddressPolicyOf } from "../../lib/config/accounts.ts";
import { readOptionValue } from "../../lib/config/setting.ts";
import { settings } from "../../lib/config/settings.ts";
import { findTomlKeys, parseConfigFile } from "../../lib/config/config_file.ts";
import { parseDialPattern } from "../../lib/config/dial_pattern.ts";
import { parseDialPlan, resolveDialled } from "../../lib/config/dial_plan.ts";
import {
  parseAddress,
  parseDialMatcher,
  parseDomain,
  parseExternal,
  parseList,
  parsePortRange,
  parseProxy,
  parseServer,
  parseSipd,
  parseToken,
  parseTruth,
  parseWorkers,
} from "../../lib/config/setting_values.ts";
import { nearest } from "../../lib/config/config_table.ts";
import {
  decodePercent,
  dialledByUrl,
  parseAccountPath,
  parseAppPath,
  parseQuery,
} from "../../lib/gateway/urls.ts";
import { refusalText } from "../../lib/gateway/accounts.ts";
import { isWorthRedialling } from "../../lib/gateway/apps/published_call.ts";
import { credentialsOf, identityOf, parseCommand } from "../../lib/gateway/commands.ts";
import { isAppName, parseStreamPath, recordingSegments } from "../../lib/live/recordings.ts";
import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { parseSprop } from "../../lib/codecs/h264/parameter_sets.ts";
import {
  decodeIp,
  isInNetwork,
  isIpAddress,
  isIpv6,
  isLoopback,
  isPrivate,
  isUnspecified,
  parseEndpoint,
  parseNetwork,
  sameAddress,
  unmapAddress,
} from "../../lib/net/endpoint.ts";
import { parseIpv4Routes, parseIpv6Routes, prefixLengthOf } from "../../lib/net/route.ts";
import { parseConnect, splitQuery } from "../../lib/rtmp/command.ts";
import { joinStreamPath } from "../../lib/rtmp/stream_path.ts";
import { parseRtmpUrl } from "../../lib/rtmp/client.ts";
import { findHttpHeadEnd, parseRequestHead, parseTunnelPath } from "../../lib/rtmp/tunnel/http_message.ts";
import { formatSdp, parseSdp, readSdpLines } from "../../lib/sdp/description.ts";
import { isEventList, parseEventCodes, parseFmtp, parseRedPayloadTypes } from "../../lib/sdp/fmtp.ts";
import { answerH264Fmtp, compatibleH264, parseH264Parameters } from "../../lib/sdp/h264_format.ts";
import { createAnswer, createOffer, readAnswer } from "../../lib/sdp/offer_answer.ts";
import { mediaFormat } from "../../lib/sdp/media_format.ts";
import { eventOfDigit } from "../../lib/rtp/telephone_event.ts";
import { parseSipUri } from "../../lib/sip/message/uri.ts";
import { isLocal503 } from "../../lib/tools/trial/echo_meter.ts";
import { decodeRelayHeader } from "../../lib/workers/relay.ts";
import { named, type Subject, text, utf8 } from "../support/linear_time.ts";

const SDP = [
  "v=0",
  "o=- 1 2 IN IP4 192.0.2.1",
  "s=a b",
  "c=IN IP6 2001:db8::1/127",
  "t=0 0",
  "a=tool:x y",
  "m=audio 4000/2 RTP/AVP 0 101",
  "a=rtpmap:101 telephone-event/8000/1",
  "a=fmtp:101 0-15,66",
  "a=rtcp:4001 IN IP4 192.0.2.1",
  "a=rtcp-fb:* nack pli",
  "m=video 4002 RTP/AVPF 97",
  "a=rtpmap:97 H264/90000",
  "a=fmtp:97 profile-level-id=42e01f; packetization-mode=1",
  "",
].join("\r\n");

const LOCAL = {
  address: "192.0.2.2",
  sessionId: 1,
  sessionVersion: 1,
  media: [{
    kind: "audio" as const,
    port: 5000,
    formats: [mediaFormat(0, "PCMU", 8000), mediaFormat(101, "telephone-event", 8000, { fmtp: "0-15" })],
  }],
};

const LOGGED = [
  'Authorization: Digest username="a", response="0123456789abcdef", uri="sip:a:b@c"',
  "a=crypto:1 AES inline:d0Rm|2^20|1:32",
  '{ "password": "a\\"b", user: \'c\' } rtmp://u:p@h/sip/a:b@c?key=x',
].join("\r\n");

const HTTP =
  "POST http://h/send/abc/7?x=y#z HTTP/1.1\r\nContent-Length: 10\r\nExpect: 100-continue\r\nConnection: a, b\r\n\r\n";
const TOML =
  'port = 1935\n"host" = "127.0.0.1" # a\nusers = [ "a", \'b\' ]\n[[account]]\naddress = "a@b"\npassword = """c"""\n';
const ROUTES = "Iface\tDestination\tGateway\neth0\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
const ROUTES6 = `${"20010db8".padEnd(32, "0")} 40 ${"0".repeat(32)} 00 ${
  "0".repeat(32)
} 00000100 1 0 00000001 eth0\n`;
const INFO = {
  relay: "Signal=5\r\nDuration = 160ms\r\n",
  xml: '<?xml version="1.0"?><media_control><a/></media_control>',
};

const IDENTITY = { aor: parseSipUri("sip:a@b"), displayName: null, username: null, password: null };

const PLAN = parseDialPlan([{ pattern: "0*(.*)x", target: "sip:$1@trunk.example" }]);
if (PLAN.type !== "rules") throw new Error(PLAN.problem);
const PATTERN = parseDialPattern("(a*)(b*)[0-9]+(.*)\\d");
if (PATTERN.type !== "pattern") throw new Error(PATTERN.problem);

/** Complaints to whoever wrote a setting are answers like others. */
function complaining<T>(parse: () => T): T | null {
  try {
    return parse();
  } catch (error) {
    if (error instanceof ConfigError || error instanceof WireError) return null;
    throw error;
  }
}

const log = openLog({ verbosity: "trace", write: () => {} }).log;

/** All there is. */
export const TEXT_PARSERS: readonly Subject[] = [
  named(
    "addressKey sourceKey",
    (text) => [addressKey(text), sourceKey(text)],
    "2001:db8::1",
  ),
  text("gateway/access/users_file.ts", isUserName, "alice"),
  named(
    "parseUsers",
    (text) => complaining(() => parseUsers({ name: "f", text })),
    "# a\nalice:pbkdf2-sha256:1000:AAAAAAAAAAAAAAAAAAAAAA==:AAAA\n",
  ),
  named(
    "parseArguments",
    (text) => parseArguments(["start", "--rtmp-token", text, text], () => ""),
    "a=b --port=1",
  ),
  text("base/bytes.ts", fromHex, "00 ff"),
  named("messageOf", (text) => messageOf(new Error(text)), "a b\r\n c"),
  text("base/mask_secrets.ts", maskSecrets, LOGGED),
  named("Logger", (text) => log.info(text), LOGGED),
  named(
    "trimCharacters trimEndCharacters",
    (text) => [trimCharacters(text, "/"), trimEndCharacters(text, "/")],
    "/a/b/",
  ),
  named("formatWarning", (text) => formatWarning("h", text), 'a "b" \\ c'),
  utf8("readSdpBody", (bytes) => readSdpBody({ type: "application/sdp", bytes }), SDP),
  text("call/leg.ts", callPath, "alice@example.com"),
  utf8(
    "parseInfo",
    (bytes) => parseInfo({ type: "application/dtmf-relay", bytes }),
    INFO.relay,
  ),
  utf8(
    "parseInfo of dtmf",
    (bytes) => parseInfo({ type: "application/dtmf", bytes }),
    "5",
  ),
  utf8(
    "parseInfo of media_control",
    (bytes) => parseInfo({ type: "application/media_control+xml", bytes }),
    INFO.xml,
  ),
  named(
    "parseInfo of a type",
    (type) => parseInfo({ type, bytes: new Uint8Array() }),
    "a/b; c=d",
  ),
  {
    ...named(
      "parseConfigFile",
      (text) => complaining(() => parseConfigFile({ name: "f", text }, settings)),
      TOML,
    ),
    maxMs: 50, // read once, at the start, by another's parser
  },
  named(
    "parseAccounts",
    (text) => parseAccounts([{ address: text, "same-address": text }]),
    "*@example.com",
  ),
  named(
    "sameAddressPolicyOf",
    (text) => sameAddressPolicyOf({ policy: "replace", accounts: [] }, text),
    "a@b",
  ),
  named(
    "readOptionValue",
    (text) => complaining(() => readOptionValue(settings["ext-ip"], text)),
    "192.0.2.1",
  ),
  text("config/dial_pattern.ts", parseDialPattern, "(0*)[a-c#]+\\d\\.?x"),
  named("DialPattern", (text) => PATTERN.pattern.match(text), "aab012"),
  named(
    "parseDialPlan",
    (text) => parseDialPlan([{ pattern: text, target: text }]),
    "0(.*)",
  ),
  named(
    "resolveDialled",
    (text) => resolveDialled(PLAN.rules, text, "example.com"),
    "0049 (30) 123x",
  ),
  text("config/setting_values.ts", parseDomain, "*.a-b.example.com.", "[::1]"),
  text("config/setting_values.ts", parseDialMatcher, "0(.*)"),
  text("config/setting_values.ts", parseToken, "0123456789abcdef"),
  named(
    "parseAddress parseExternal",
    (text) => [parseAddress(text), parseExternal(text)],
    "[::1]",
    "192.0.2.1",
  ),
  named("parseServer", (text) => parseServer(text, 3478), "stun.example.com:3478"),
  named("parsePortRange", parsePortRange, "10000 - 20000"),
  named("parseProxy", parseProxy, "sip:proxy.example.com:5060;lr"),
  named("parseSipd", parseSipd, "localhost:5060"),
  named("parseTruth parseWorkers", (text) => [parseTruth(text), parseWorkers(text)], "auto", "true"),
  named("parseList", (text) => parseList(text, parseDomain), "a.b, c.d e"),
  named(
    "nearest",
    (text) => nearest(text, ["port", "same-address", "publish-calls"]),
    "por-t",
  ),
  named(
    "readSipAccount",
    (text) => readSipAccount({ name: "a", address: text, password: text, registrar: text }),
    "sip:alice@example.com:5060",
  ),
  named(
    "parseAccountPath",
    (text) => parseAccountPath("call", { app: text, connectQuery: text, name: text, query: text }),
    "call/desk/+49%30?key=a&b=c",
  ),
  named("refusalText", (text) => refusalText(IDENTITY, 403, text), "Forbidden (a)"),
  text("gateway/urls.ts", parseAppPath, "/sip/alice:p%41w@example.com:5070/x/", "call/desk/1", "live/a"),
  text("gateway/urls.ts", decodePercent, "a%41+b"),
  text("gateway/apps/published_call.ts", isWorthRedialling, "486 Busy Here"),
  text("gateway/commands.ts", identified, "alice@example.com:5070"),
  named("parseCommand", commanded, "486 Busy Here", "alice@example.com"),
  text("gateway/urls.ts", parseQuery, "a=b+c&d=%41"),
  named(
    "credentialsOf",
    (query) => credentialsOf({ query, args: [query, query, { user: query }] }),
    "user=a&password=b",
  ),
  text("gateway/urls.ts", dialledByUrl, "dial=+49&video=h264&x=%41"),
  named("parseStreamPath", (text) => parseStreamPath(text, text), "/live/a/"),
  text("live/recordings.ts", isAppName, "film"),
  named(
    "recordingSegments",
    (text) => recordingSegments(`live/${text}`),
    "flv:a/b.flv",
  ),
  text("CodecRegistry.token", (name) => builtInCodecs.token(name), "h264/640x480"),
  text("CodecRegistry.ofEncoding", (name) => builtInCodecs.ofEncoding(name), "speex"),
  text("codecs/h264/parameter_sets.ts", parseSprop, "Z0LAHtkDxWhAAAADAEAAAAwDxYuS, aMuMsg=="),
  ...[decodeIp, isIpAddress, isIpv6, isLoopback, isPrivate, isUnspecified, unmapAddress].map((ask) =>
    text<unknown>("net/endpoint.ts", ask, "192.0.2.1", "::ffff:192.0.2.1%eth0")
  ),
  named(
    "parseEndpoint",
    (text) => parseEndpoint(text, 1),
    "[2001:db8::1%eth0]:5060",
    "example.com:5060",
  ),
  named("sameAddress", (text) => sameAddress(text, `${text}x`), "fe80::1%eth0"),
  text("net/endpoint.ts", parseNetwork, "2001:db8::/32", "[::1]"),
  named(
    "isInNetwork",
    (text) => isInNetwork(text, { prefix: [10, 0, 0, 0], bits: 8 }),
    "::ffff:10.0.0.1",
  ),
  { ...text("config/config_file.ts", findTomlKeys, TOML), maxMs: 100 }, // for a complaint about it
  text("net/route.ts", parseIpv4Routes, ROUTES),
  text("net/route.ts", parseIpv6Routes, ROUTES6),
  text("net/route.ts", prefixLengthOf, "255.255.255.0"),
  text("rtmp/command.ts", splitQuery, "name?a=b?c"),
  named(
    "parseConnect",
    (app) => parseConnect({ name: "connect", transactionId: 1, object: { app, tcUrl: app }, args: [app] }),
    "sip/a@b?c=d",
  ),
  named(
    "joinStreamPath",
    (text) => joinStreamPath(text, text),
    "rtmp://h/live//room/cam",
  ),
  text("rtmp/client.ts", parseRtmpUrl, "rtmp://[2001:db8::1%a]:1935/app/x?y=z#w", "rtmp://example.com"),
  utf8("findHttpHeadEnd", findHttpHeadEnd, HTTP),
  utf8("parseRequestHead", parseRequestHead, HTTP.trim()),
  text("rtmp/tunnel/http_message.ts", parseTunnelPath, "/send/abc/7", "/open/1"),
  text("rtp/telephone_event.ts", eventOfDigit, "5"),
  text("sdp/description.ts", parseSdp, SDP),
  text("sdp/description.ts", readSdpLines, SDP),
  {
    ...named("createAnswer readAnswer", () => {}, SDP),
    prepare: (text) => complaining(() => parseSdp(text)),
    call: answered,
  },
  text("sdp/fmtp.ts", isEventList, "0-15,66"),
  text("sdp/fmtp.ts", parseFmtp, "a=b; c = d;e"),
  text("sdp/fmtp.ts", parseEventCodes, "events=0-15,66, 70"),
  text("sdp/fmtp.ts", parseRedPayloadTypes, "101/101 / 5"),
  text("sdp/h264_format.ts", parseH264Parameters, "profile-level-id=42e01f; packetization-mode=1"),
  named(
    "compatibleH264 answerH264Fmtp",
    (text) => [compatibleH264(text, text), answerH264Fmtp(text, text)],
    "profile-level-id=42e01f; packetization-mode=1",
  ),
  text("tools/trial/echo_meter.ts", isLocal503, "503 sip:a@b cannot be reached (x)"),
  utf8("decodeRelayHeader", decodeRelayHeader, "siprtmp-client secret 192.0.2.1 5060\n"),
];

function identified(address: string): unknown {
  return identityOf(address, [address, address, address, address]);
}

function commanded(text: string): unknown {
  return ["invite", "accept", "reject", "sendDTMF", "message"].map((name) =>
    parseCommand(name, [text, text, text])
  );
}

function answered(offer: ReturnType<typeof parseSdp> | null): string {
  if (offer === null) return "";
  readAnswer(createOffer(LOCAL), offer);
  const negotiation = createAnswer(offer, LOCAL);
  return formatSdp(negotiation.type === "none" ? offer : negotiation.answer);
}
