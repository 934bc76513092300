// Tests of lib/sip/ua/identity.ts: the addresses a user agent writes about itself.

import assert from "node:assert/strict";
import {
  contactAddress,
  type Identity,
  identityAddress,
  publicUri,
  registrarUri,
  requestUri,
} from "../../../lib/sip/ua/identity.ts";
import { formatNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { formatSipUri, parseSipUri } from "../../../lib/sip/message/uri.ts";

const alice: Identity = {
  aor: parseSipUri("sip:alice:secret@example.com:5070;transport=tcp;x=y?Subject=hi"),
  displayName: "Alice",
  username: null,
  password: "pw",
};

Deno.test("passwords and parameters of the address of record stay at home", () => {
  assert.equal(formatSipUri(publicUri(alice.aor)), "sip:alice@example.com:5070");
  assert.equal(formatNameAddr(identityAddress(alice)), '"Alice" <sip:alice@example.com:5070>');
});

Deno.test("the registrar is the domain, reached by the transport of the address of record", () => {
  assert.equal(formatSipUri(registrarUri(alice)), "sip:example.com:5070;transport=tcp");
  const plain = { ...alice, aor: parseSipUri("sip:bob@[2001:db8::1]") };
  assert.equal(formatSipUri(registrarUri(plain)), "sip:[2001:db8::1]");
});

Deno.test("a registrar that was named comes before the domain", () => {
  const registrar = parseSipUri("sip:192.0.2.1:5080;transport=tcp;x=y");
  assert.equal(formatSipUri(registrarUri({ ...alice, registrar })), "sip:192.0.2.1:5080;transport=tcp");
});

Deno.test("a Request-URI has no password, no method, no headers", () => {
  const uri = parseSipUri("sip:bob:pw@h:1;method=BYE;transport=tcp;user=phone?a=b");
  assert.equal(formatSipUri(requestUri(uri)), "sip:bob@h:1;transport=tcp;user=phone");
});

Deno.test("a Contact names address, port, line, and the transport unless it is UDP", () => {
  const at = { host: "10.0.0.1", port: 5062, line: "abc" };
  const udp = contactAddress(alice, { ...at, transport: "udp" });
  const tcp = contactAddress(alice, { ...at, transport: "tcp" });
  assert.equal(formatNameAddr(udp), "<sip:alice@10.0.0.1:5062;line=abc>");
  assert.equal(formatNameAddr(tcp), "<sip:alice@10.0.0.1:5062;transport=tcp;line=abc>");
});
