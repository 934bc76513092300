// No header that a peer writes raises anything but the WireError that is handled where it is read: every typed reader,
// everything that reads headers late, and an endpoint with a call, on values made of pieces of all grammars.

import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { WireError } from "../../../lib/base/errors.ts";
import { answerFault, contactOf, Dialog, namesItsTarget, routesOf } from "../../../lib/sip/ua/dialog.ts";
import { parseAuthValue, parseChallenge } from "../../../lib/sip/ua/digest.ts";
import { multipartParts, sessionBodyOf, signallingHosts } from "../../../lib/sip/message/body.ts";
import { endedByBye } from "../../../lib/sip/ua/call_dialog.ts";
import {
  infoRefusal,
  messageRefusal,
  peerAllows,
  peerSupports,
  refusalOf,
} from "../../../lib/sip/ua/capabilities.ts";
import { parseParams, splitOutside } from "../../../lib/sip/message/grammar.ts";
import {
  parseContentType,
  parseCSeq,
  parseDeltaSeconds,
  parseRAck,
  parseSessionExpires,
  parseVia,
  readVia,
  warningText,
} from "../../../lib/sip/message/header_values.ts";
import {
  acknowledgementKey,
  dialogIdOfRequest,
  mergeKey,
  serverKey,
} from "../../../lib/sip/message/matching.ts";
import {
  createResponse,
  encodeSipMessage,
  type SipRequest,
  type SipResponse,
  tagOf,
  withTag,
} from "../../../lib/sip/message/message.ts";
import {
  headerParamsOf,
  nameAddrOf,
  parseDestination,
  parseNameAddr,
  parseNameAddrList,
  parseRoute,
  readNameAddr,
} from "../../../lib/sip/message/name_addr.ts";
import { decodeSipDatagram, SipParseError } from "../../../lib/sip/message/parser.ts";
import { grantedExpires } from "../../../lib/sip/ua/registration.ts";
import { rackOf, reliableSequence } from "../../../lib/sip/ua/reliable_provisional.ts";
import { recordSource, responseEndpoint, responseListener } from "../../../lib/sip/message/target.ts";
import { minSeOf, sessionExpiresOf, timerAnswerTo, timerOf2xx } from "../../../lib/sip/ua/session_timer.ts";
import { redirectsOf } from "../../../lib/sip/ua/invite_client.ts";
import { parseSipUri, sipUri } from "../../../lib/sip/message/uri.ts";
import { headerOf, RawSipPeer } from "../../support/raw_sip_peer.ts";
import { RecordLog } from "../../support/record_log.ts";
import { answerCalls, openLoopback } from "../../support/sip_loopback.ts";
import { identity } from "../../support/sip_network.ts";

const PIECES = [
  ...[
    '"',
    "\\",
    "<",
    ">",
    "(",
    ")",
    "[",
    "]",
    "{",
    ";",
    ",",
    ":",
    "/",
    "=",
    "?",
    "@",
    "%",
    "*",
    "+",
    "-",
    ".",
    "~",
  ],
  ...[" ", "\t", "\r", "\r\n ", "\0", "\u2028", "\ufffd", "\u00fc", "\u{1f600}"],
  ...[
    "0",
    "1",
    "90",
    "1800",
    "4294967296",
    "99999999999999999999",
    "1.5",
    "-1",
    "a",
    "tag",
    "branch",
    "z9hG4bKx",
  ],
  ...[
    "sip:",
    "sips:",
    "tel:",
    "http:",
    "sip:a@h",
    "<sip:a@h>",
    "h:5060",
    "[::1]",
    "SIP/2.0/UDP h",
    "SIP/7.0",
  ],
  ...[
    ";lr",
    ";tag=1",
    ";branch=b",
    ";rport",
    ";received=1.2.3.4",
    ";maddr=1.2.3.4",
    ";expires=",
    ";refresher=uac",
  ],
  ...[
    "INVITE",
    "1 INVITE",
    "1 1 INVITE",
    "Digest ",
    'realm="r"',
    "nonce=",
    "qop=",
    "%41",
    "%ff",
    "%4",
    "urn:x",
  ],
  ...["application/sdp", "multipart/mixed;boundary=", "text/plain", "handling=optional", "100rel", "timer"],
];
const value = fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }).map((pieces) => pieces.join(""));
const NAMES = [
  ...[
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Route",
    "Record-Route",
    "Max-Forwards",
    "Content-Type",
  ],
  ...[
    "Content-Length",
    "Content-Encoding",
    "Content-Disposition",
    "Require",
    "Supported",
    "Allow",
    "Accept",
    "Expires",
  ],
  ...[
    "Session-Expires",
    "Min-SE",
    "RSeq",
    "RAck",
    "Reason",
    "Warning",
    "Retry-After",
    "Min-Expires",
    "Refer-To",
  ],
  ...[
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Authorization",
    "Timestamp",
    "Service-Route",
    "Path",
    "Unsupported",
  ],
  ...[
    "P-Asserted-Identity",
    "Diversion",
    "Alert-Info",
    "Subject",
    "Date",
    "Event",
    "v",
    "f",
    "t",
    "m",
    "c",
    "l",
    "x",
  ],
];

/** All that read one value. Those that never throw are told apart. */
const READERS: [read: (text: string) => unknown, throws: boolean][] = [
  [parseVia, true],
  [parseCSeq, true],
  [parseRAck, true],
  [parseContentType, true],
  [parseSessionExpires, true],
  [parseNameAddr, true],
  [parseNameAddrList, true],
  [parseRoute, true],
  [parseSipUri, true],
  [parseAuthValue, true],
  [parseChallenge, true],
  [(text) => parseDestination(text, "h"), true],
  [readVia, false],
  [readNameAddr, false],
  [headerParamsOf, false],
  [tagOf, false],
  [(text) => withTag(text, "t"), false],
  [parseDeltaSeconds, false],
  [parseParams, false],
  [warningText, false],
  [(text) => splitOutside(text, ",", true), false],
  [(text) => multipartParts({ type: text, bytes: encodeUtf8("--x\r\n\r\n--x--") }), false],
];

for (const [read, throws] of READERS) {
  Deno.test(`any text: ${read.name || read} gives a value${throws ? " or WireError" : ""}`, () => {
    fc.assert(
      fc.property(value, (text) => {
        try {
          read(text);
        } catch (error) {
          assert.ok(throws && error instanceof WireError, `${JSON.stringify(text)}: ${error}`);
        }
      }),
      { numRuns: 2000 },
    );
  });
}

/** A message, header lines in any order and number added or put in place of its own. */
function messageWith(
  startLine: string,
  method: string,
  changes: readonly (readonly [string, string])[],
): Uint8Array {
  const headers = new Map([
    ["Via", "SIP/2.0/UDP h;branch=z9hG4bK1"],
    ["From", "<sip:a@h>;tag=1"],
    ["To", "<sip:b@h>"],
    ["Call-ID", "c"],
    ["CSeq", `1 ${method}`],
    ["Contact", "<sip:a@h>"],
    ...changes,
  ]);
  const lines = [...headers].map(([name, text]) => `${name}: ${text}\r\n`).join("");
  return encodeUtf8(`${startLine}\r\n${lines}\r\nv=0\r\n`);
}

const changes = fc.array(fc.tuple(fc.constantFrom(...NAMES), value), { minLength: 1, maxLength: 5 });
const METHODS = [
  "INVITE",
  "BYE",
  "CANCEL",
  "INFO",
  "MESSAGE",
  "PRACK",
  "UPDATE",
  "OPTIONS",
  "REGISTER",
  "REFER",
];

function readRequest(request: SipRequest): void {
  recordSource(request, { hostname: "192.0.2.1", port: 9 });
  for (const key of [serverKey, mergeKey, acknowledgementKey, dialogIdOfRequest]) key(request);
  const response = createResponse(request, 200, undefined, "t");
  responseEndpoint(response);
  responseListener(response);
  for (const refusal of [refusalOf, infoRefusal, messageRefusal]) refusal(request);
  for (const option of ["timer", "100rel"]) peerSupports(request, option);
  peerAllows(request, "UPDATE");
  [timerAnswerTo, sessionExpiresOf, minSeOf, rackOf, endedByBye, routesOf, contactOf].forEach((read) =>
    read(request)
  );
  sessionBodyOf(request);
  signallingHosts(request, null);
  decodeSipDatagram(encodeSipMessage(response));
  if (contactOf(request) === null) return;
  const dialog = Dialog.fromRequest(request, "t", nameAddrOf(sipUri("me")));
  void dialog.remote;
  dialog.refreshTarget(request);
  encodeSipMessage(dialog.createRequest("BYE"));
}

function readResponse(response: SipResponse, invite: SipRequest): void {
  responseEndpoint(response);
  for (const read of [answerFault, namesItsTarget, timerOf2xx, reliableSequence, sessionExpiresOf, minSeOf]) {
    read(response);
  }
  grantedExpires(response, sipUri("me", { user: "a", params: new Map([["line", "x"]]) }), 60);
  redirectsOf(response);
  sessionBodyOf(response);
  signallingHosts(response, "192.0.2.1");
  const dialog = Dialog.fromResponse(invite, response);
  dialog.confirm(response);
  void dialog.remote;
  encodeSipMessage(dialog.createAck(invite));
}

Deno.test("any headers: a request is read to its end, or is malformed", () => {
  fc.assert(
    fc.property(fc.constantFrom(...METHODS), changes, (method, lines) => {
      try {
        const { message } = decodeSipDatagram(messageWith(`${method} sip:b@h SIP/2.0`, method, lines));
        assert.ok(message.kind === "request");
        readRequest(message);
      } catch (error) {
        if (!(error instanceof SipParseError)) throw error;
      }
    }),
    { numRuns: 5000 },
  );
});

Deno.test("any headers: a response is read to its end, or is malformed", () => {
  const invite = decodeSipDatagram(messageWith("INVITE sip:b@h SIP/2.0", "INVITE", [])).message as SipRequest;
  fc.assert(
    fc.property(fc.constantFrom(180, 183, 200, 302, 401, 422, 488, 503), changes, (status, lines) => {
      try {
        const { message } = decodeSipDatagram(messageWith(`SIP/2.0 ${status} x`, "INVITE", lines));
        assert.ok(message.kind === "response");
        readResponse(message, invite);
      } catch (error) {
        if (!(error instanceof SipParseError)) throw error;
      }
    }),
    { numRuns: 5000 },
  );
});

Deno.test("any headers: an endpoint with a call takes requests of the call, and others, without a fault", async () => {
  const log = new RecordLog("warn");
  const endpoint = openLoopback(log);
  const happened: string[] = [];
  const answering = answerCalls(
    endpoint.createUserAgent(identity(`sip:bob@127.0.0.1:${endpoint.port}`)),
    happened,
  );
  {
    await using peer = new RawSipPeer(endpoint.port);
    const same = (text: string): string => text;
    peer.request("INVITE", "bob", { id: "x", cseq: 1, body: "v=0\r\ns=offer\r\n" }, same);
    const to = headerOf(await peer.next(/^SIP\/2\.0 200 /), "To");
    peer.request("ACK", "bob", { id: "x", cseq: 1, to }, same);
    const methods = METHODS.filter((method) => method !== "BYE");
    let cseq = 2;
    for (const lines of fc.sample(changes, 400)) {
      const extra = lines.filter(([name]) => !["To", "t", "Call-ID", "CSeq"].includes(name));
      const odd = (text: string): string =>
        text.replace(
          "\r\nContent-Length",
          `${extra.map(([name, text]) => `\r\n${name}: ${text}`).join("")}\r\nContent-Length`,
        );
      peer.request(
        methods[cseq % methods.length]!,
        "bob",
        cseq % 2 === 0 ? { id: "x", cseq, to } : { id: `y${cseq}`, cseq },
        odd,
      );
      cseq++;
      if (cseq % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    peer.request("BYE", "bob", { id: "x", cseq: cseq + 1, to }, same);
    await peer.next(/^SIP\/2\.0 200 [^]*\r\nCSeq: \d+ BYE/);
  }
  await endpoint[Symbol.asyncDispose]();
  await answering;
  assert.deepEqual(log.at("error"), []);
});
