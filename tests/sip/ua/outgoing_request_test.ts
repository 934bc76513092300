// Tests of lib/sip/ua/outgoing_request.ts: the headers of requests outside dialogs.

import assert from "node:assert/strict";
import { createOutgoingRequest, withNextSequence } from "../../../lib/sip/ua/outgoing_request.ts";
import { encodeSipMessage } from "../../../lib/sip/message/message.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { proxyRoute } from "../../../lib/sip/ua/service_route.ts";
import { formatSipUri, parseSipUri } from "../../../lib/sip/message/uri.ts";

const parts = {
  method: "INVITE",
  uri: parseSipUri("sip:bob:pw@example.net;method=BYE?Subject=x"),
  from: parseNameAddr('"Alice" <sip:alice@example.com>'),
  fromTag: "tag1",
  to: parseNameAddr('"Bob" <sip:bob@example.net?Subject=x>;tag=no'),
  callId: "id1",
  sequence: 1,
  contact: parseNameAddr("<sip:alice@10.0.0.1:5060;line=abc>"),
  routes: [],
  userAgent: "siprtmp/1",
  body: null,
};

Deno.test("a request has the mandatory headers and nothing that does not belong there", () => {
  const text = new TextDecoder().decode(encodeSipMessage(createOutgoingRequest(parts)));
  assert.equal(
    text,
    [
      "INVITE sip:bob@example.net SIP/2.0",
      "Max-Forwards: 70",
      'From: "Alice" <sip:alice@example.com>;tag=tag1',
      'To: "Bob" <sip:bob@example.net>',
      "Call-ID: id1",
      "CSeq: 1 INVITE",
      "Contact: <sip:alice@10.0.0.1:5060;line=abc>",
      "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE",
      "Supported: timer, 100rel",
      "User-Agent: siprtmp/1",
      "Content-Length: 0",
      "",
      "",
    ].join("\r\n"),
  );
});

Deno.test("an outbound proxy becomes a loose route", () => {
  const request = createOutgoingRequest({
    ...parts,
    routes: proxyRoute(parseSipUri("sip:proxy.example.com:5080;transport=tcp")),
  });
  assert.equal(request.headers.get("Route"), "<sip:proxy.example.com:5080;transport=tcp;lr>");
  assert.equal(request.uri.host, "example.net");
});

Deno.test("a repetition has the next CSeq and leaves the original alone", () => {
  const request = createOutgoingRequest({ ...parts, contact: null });
  assert.equal(request.headers.has("Contact"), false);
  assert.equal(withNextSequence(request).headers.get("CSeq"), "2 INVITE");
  assert.equal(request.headers.get("CSeq"), "1 INVITE");
});

/** Preloaded routes, and the Request-URI and Route that come of them. */
const ROUTES: [routes: string[], uri: string, route: string[]][] = [
  [[], "sip:bob@example.net", []],
  [["<sip:a;lr>"], "sip:bob@example.net", ["<sip:a;lr>"]],
  [["<sip:a;lr>", "<sip:b;lr>"], "sip:bob@example.net", ["<sip:a;lr>", "<sip:b;lr>"]],
  [["<sip:a>"], "sip:a", ["<sip:bob@example.net>"]],
  [["<sip:a>", "<sip:b;lr>"], "sip:a", ["<sip:b;lr>", "<sip:bob@example.net>"]],
  [["<sip:a;lr>", "<sip:b>"], "sip:bob@example.net", ["<sip:a;lr>", "<sip:b>"]],
];

for (const [routes, uri, route] of ROUTES) {
  Deno.test(`by way of ${routes.join(" ") || "nothing"}: ${uri}`, () => {
    const request = createOutgoingRequest({ ...parts, routes: routes.map(parseNameAddr) });
    assert.equal(formatSipUri(request.uri), uri);
    assert.deepEqual(request.headers.all("Route"), route);
  });
}
