// Tests of lib/sip/ua/capabilities.ts: what we say we can do, and the refusals of RFC 3261 section 8.2.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import {
  addRequestCapabilities,
  addResponseCapabilities,
  ALLOWED_METHODS,
  infoRefusal,
  messageRefusal,
  peerAllows,
  peerRequires,
  peerSupports,
  refusalOf,
  unacceptableBody,
  unsupportedOptions,
} from "../../../lib/sip/ua/capabilities.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import { receivedRequest } from "../../support/sip_messages.ts";

Deno.test("requests and responses carry what we can do", () => {
  const headers = new SipHeaders();
  addRequestCapabilities(headers, "siprtmp/1");
  assert.equal(headers.get("User-Agent"), "siprtmp/1");
  assert.deepEqual(headers.all("Allow"), ALLOWED_METHODS);
  assert.deepEqual(headers.all("Supported"), ["timer", "100rel"]);
  addRequestCapabilities(headers, "siprtmp/1", false);
  assert.deepEqual(headers.all("Supported"), ["timer"]);
  const response = new SipHeaders();
  addResponseCapabilities(response);
  assert.deepEqual(response.all("Accept"), ["application/sdp", "multipart/mixed"]);
});

Deno.test("option tags and methods of the peer are found whatever their case", () => {
  const request = receivedRequest("INVITE", {
    Supported: "Timer, gruu",
    Require: "100rel",
    Allow: "INVITE, UPDATE",
  });
  assert.equal(peerSupports(request, "timer"), true);
  assert.equal(peerSupports(request, "100rel"), true);
  assert.equal(peerRequires(request, "timer"), false);
  assert.equal(peerAllows(request, "UPDATE"), true);
  assert.equal(peerAllows(request, "PRACK"), false);
});

Deno.test("what we cannot serve is refused as RFC 3261 section 8.2 says", () => {
  const table: [string, Record<string, string>, string, number | null][] = [
    ["INVITE", {}, "sip:bob@h", null],
    ["INVITE", { Require: "timer, 100rel" }, "sip:bob@h", null],
    ["INVITE", { Require: "precondition, timer" }, "sip:bob@h", 420],
    ["ACK", { Require: "precondition" }, "sip:bob@h", null],
    ["INVITE", {}, "sips:bob@h", 416],
    ["INVITE", {}, "tel:+1201", 416],
    ["SUBSCRIBE", {}, "sip:bob@h", 405],
    ["REGISTER", {}, "sip:h", 405],
    ["DANCE", {}, "sip:bob@h", 501],
  ];
  for (const [method, headers, uri, status] of table) {
    const refusal = refusalOf(receivedRequest(method, headers, uri));
    assert.equal(refusal?.status ?? null, status, `${method} ${uri}`);
    if (status === 405 || status === 501) assert.deepEqual(refusal?.headers.all("Allow"), ALLOWED_METHODS);
    if (status === 420) assert.equal(refusal?.headers.get("Unsupported"), "precondition");
  }
});

Deno.test("unsupported options are listed as the peer wrote them; 415 names what we take", () => {
  const request = receivedRequest("INVITE", { Require: "Foo, 100REL" });
  assert.deepEqual(unsupportedOptions(request), ["Foo"]);
  const response = unacceptableBody(request);
  assert.equal(response.status, 415);
  assert.equal(response.headers.get("Accept-Encoding"), "identity");
});

Deno.test("a MESSAGE that is no text is refused with what we can show", () => {
  const table: [type: string | null, refused: boolean][] = [
    ["text/plain", false],
    ["Text/HTML;charset=utf-8", false],
    ["application/im-iscomposing+xml", true],
    ["application/octet-stream", true],
    [null, true], // bytes of an unknown kind
  ];
  for (const [type, refused] of table) {
    const request = receivedRequest("MESSAGE", type === null ? {} : { "Content-Type": type });
    request.body = new Uint8Array(3);
    const refusal = messageRefusal(request);
    assert.equal(refusal?.status ?? null, refused ? 415 : null, `${type}`);
    if (refusal !== null) assert.equal(refusal.headers.get("Accept"), "text/plain");
  }
  assert.equal(messageRefusal(receivedRequest("MESSAGE", { "Content-Type": "image/png" })), null, "empty");
});

Deno.test("an INFO that is not understood is refused with what is; without a body, or an optional one, never", () => {
  const table: [type: string, text: string, more: Record<string, string>, refused: boolean][] = [
    ["application/dtmf-relay", "Signal=5", {}, false],
    ["APPLICATION/DTMF", "5", {}, false],
    ["application/dtmf-relay", "Signal=hf", {}, false],
    ["application/dtmf-relay", "Signal=?", {}, true],
    ["application/qsig", "x", {}, true],
    ["application/qsig", "x", { "Content-Disposition": "signal ; handling=Optional;" }, false],
    ["text/plain", "5", {}, true],
    ["application/qsig", "", {}, false],
  ];
  for (const [type, text, more, refused] of table) {
    const request = receivedRequest("INFO", { "Content-Type": type, ...more });
    request.body = encodeUtf8(text);
    const refusal = infoRefusal(request);
    assert.equal(refusal?.status ?? null, refused ? 415 : null, `${type} ${text}`);
    if (refusal !== null) assert.ok(refusal.headers.includes("Accept", "application/dtmf-relay"));
  }
});
