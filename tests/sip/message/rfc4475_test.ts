// The 49 torture messages of RFC 4475, retold with texts of our own (tests/torture/sip), each sent to an endpoint whose
// user it is for: what the RFC asks, what is answered, and why that differs where it does.

import assert from "node:assert/strict";
import { silentLog } from "../../../lib/base/log.ts";
import type { MessageTransport } from "../../../lib/sip/ua/endpoint.ts";
import { encodeSipMessage, type SipMessage } from "../../../lib/sip/message/message.ts";
import { Receiver } from "../../../lib/sip/transport/receiver.ts";
import type { Flow } from "../../../lib/sip/message/target.ts";
import { identity, SipNetwork } from "../../support/sip_network.ts";
import { readTortureCases } from "../../support/torture_cases.ts";

const FLOW: Flow = {
  transport: "udp",
  remote: { hostname: "198.51.100.9", port: 5066 },
  local: { hostname: "10.0.0.2", port: 5060 },
  connectionId: 0,
};

const CASES = new Map(
  [...readTortureCases("valid"), ...readTortureCases("invalid")].map((one) => [one.name, one]),
);

/** What is answered first, without 100; 0: nothing. The user whom the message is for exists, and rings. */
async function answerTo(bytes: Uint8Array): Promise<number> {
  const statuses: number[] = [];
  const note = (message: SipMessage): void => {
    encodeSipMessage(message);
    if (message.kind === "response" && message.status > 100) statuses.push(message.status);
  };
  const transport: MessageTransport = {
    port: 5060,
    onMessage: null,
    send: (message) => {
      note(message);
      return Promise.resolve({ type: "sent", transport: "udp", flow: FLOW });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.2", {}, { openTransport: () => transport });
  const receiver = new Receiver({
    clock: network.clock,
    log: silentLog,
    onMessage: (message, flow) => {
      if (message.kind === "request") ring(message.uri.user);
      transport.onMessage?.(message, flow);
    },
    answer: note,
    answerStun: () => assert.fail("was taken for STUN"),
    onKeepAliveAnswer: () => assert.fail("was taken for an answer to a keep-alive"),
  });
  const ring = (user: string | null): void => {
    if (user === null) return;
    const agent = endpoint.createUserAgent({
      ...identity("sip:x@10.0.0.2"),
      aor: { ...identity("sip:x@10.0.0.2").aor, user },
    });
    void (async () => {
      for await (const invitation of agent.invitations()) invitation.ring();
    })();
  };
  receiver.datagram(bytes, FLOW);
  for (let i = 0; i < 20; i++) await Promise.resolve();
  const [first = 0] = statuses;
  await network.close(endpoint);
  assert.deepEqual(network.log.at("error"), []);
  return first;
}

/** Section, file, what the RFC asks in our words, the answer (180: the user is called), why it differs. */
const ROWS: [section: string, file: string, asks: string, answer: number, why?: string][] = [
  [
    "3.1.1.1",
    "whitespace_everywhere",
    "taken",
    481,
    "its To has the tag of a call that is not there (RFC 3261 12.2.2)",
  ],
  ["3.1.1.2", "odd_method_and_tokens", "taken; the method is unknown", 501],
  ["3.1.1.3", "escapes_in_uris", "taken, escapes undone", 180],
  [
    "3.1.1.4",
    "escaped_null_characters",
    "taken",
    405,
    "there is no registrar here, of REGISTER nothing but the parsing is asked",
  ],
  ["3.1.1.5", "percent_that_is_no_escape", "taken; the method is unknown", 501],
  ["3.1.1.6", "no_blank_before_bracket", "taken", 200],
  ["3.1.1.7", "long_values", "taken", 180],
  [
    "3.1.1.8",
    "second_request_in_datagram",
    "the first is taken, what follows is ignored",
    405,
    "no registrar",
  ],
  ["3.1.1.9", "semicolons_in_user", "taken, ; is part of the user", 200],
  ["3.1.1.10", "unknown_transports_in_vias", "taken", 200],
  ["3.1.1.11", "multipart_body", "taken", 415, "texts are taken as text/plain, whole"],
  ["3.1.1.12", "reason_in_other_letters", "a response, taken", 0],
  ["3.1.1.13", "empty_reason", "a response, taken", 0],
  ["3.1.2.1", "extraneous_separators", "400", 400],
  ["3.1.2.2", "content_length_too_long_udp", "400", 180, "Asterisk 1.6 sends such, the body is what came"],
  ["3.1.2.3", "negative_content_length", "400", 400],
  ["3.1.2.4", "overlarge_cseq", "400", 400],
  ["3.1.2.5", "overlarge_values_in_response", "dropped", 0],
  [
    "3.1.2.6",
    "unterminated_quote_in_display_name",
    "400, or the missing quote inferred",
    180,
    "the quote ends before the only bracket",
  ],
  ["3.1.2.7", "bracketed_request_uri", "400", 400],
  ["3.1.2.8", "blank_in_request_uri", "400", 400],
  ["3.1.2.9", "blanks_in_request_line", "400", 400],
  ["3.1.2.10", "trailing_blanks_in_request_line", "400, or the blanks ignored", 400],
  ["3.1.2.11", "headers_in_request_uri", "400", 400],
  ["3.1.2.12", "unusual_dates", "the Date is invalid; 400 or ignored", 200, "nobody here needs the Date"],
  ["3.1.2.13", "contact_with_headers_but_no_brackets", "400", 400],
  ["3.1.2.14", "blanks_inside_address", "400, or the blanks ignored", 200, "they have no other meaning"],
  [
    "3.1.2.15",
    "comma_in_bare_display_name",
    "400, or the name as if it were quoted",
    200,
    "it has no other meaning",
  ],
  ["3.1.2.16", "unknown_protocol_version", "505", 505],
  ["3.1.2.17", "cseq_method_differs", "400", 400],
  ["3.1.2.18", "cseq_method_differs_unknown", "400 or 501", 400],
  ["3.1.2.19", "overlarge_status", "dropped", 0],
  ["3.2.1", "no_transaction_id", "taken, a transaction as of RFC 2543", 200],
  ["3.3.1", "missing_required_headers", "400", 400],
  ["3.3.2", "unknown_scheme", "416", 416],
  ["3.3.3", "known_but_odd_scheme", "416", 416],
  [
    "3.3.4",
    "unknown_scheme_in_to",
    "taken; a registrar 400",
    405,
    "no registrar; in other requests nothing but the tags is needed",
  ],
  ["3.3.5", "unknown_extensions_required", "420 with Unsupported", 420],
  ["3.3.6", "unknown_content_type", "415 with Accept", 415],
  ["3.3.7", "unknown_authorization_scheme", "as without credentials", 405, "no registrar"],
  ["3.3.8", "repeated_single_headers", "400", 400],
  ["3.3.9", "two_content_lengths", "400", 400],
  ["3.3.10", "broadcast_via_in_response", "dropped", 0],
  ["3.3.11", "zero_max_forwards", "taken by the user agent it is for", 200],
  [
    "3.3.12",
    "registration_parameter_in_contact",
    "registered, the parameter is the header's",
    405,
    "no registrar",
  ],
  ["3.3.13", "uri_parameter_in_contact", "registered, the parameter is the URI's", 405, "no registrar"],
  ["3.3.14", "headers_in_contact_uri", "registered, the headers are the URI's", 405, "no registrar"],
  [
    "3.3.15",
    "accept_without_sdp",
    "406 (488 as well)",
    180,
    "an Accept that names no SDP is a mistake more often than a wish; it is not looked at",
  ],
  ["3.4.1", "rfc_2543", "taken", 180],
];

for (const [section, file, asks, answer, why] of ROWS) {
  Deno.test(`RFC 4475 ${section} ${file}: asked: ${asks}; ${answer}${why === undefined ? "" : `, ${why}`}`, async () => {
    const one = CASES.get(file) ?? assert.fail(`no file ${file}`);
    assert.equal(await answerTo(one.bytes), answer);
  });
}

Deno.test("RFC 4475: all 49", () => {
  assert.equal(new Set(ROWS.map(([section]) => section)).size, 49);
  assert.equal(new Set(ROWS.map(([, file]) => file)).size, 49);
});
