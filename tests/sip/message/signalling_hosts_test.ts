import assert from "node:assert/strict";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import { type SipMessage, type SipRequest, type SipResponse } from "../../../lib/sip/message/message.ts";
import { signallingHosts } from "../../../lib/sip/message/signalling_hosts.ts";
import { sipUri } from "../../../lib/sip/message/uri.ts";

function headersOf(fields: readonly (readonly [string, string])[]): SipHeaders {
  const headers = new SipHeaders();
  for (const [name, value] of fields) headers.add(name, value);
  return headers;
}

function invite(...fields: (readonly [string, string])[]): SipRequest {
  const uri = sipUri("gw.example.com", {});
  return { kind: "request", method: "INVITE", uri, headers: headersOf(fields), body: new Uint8Array(0) };
}

function ok(...fields: (readonly [string, string])[]): SipResponse {
  const headers = headersOf(fields);
  return { kind: "response", status: 200, reason: "OK", headers, body: new Uint8Array(0) };
}

const via = (text: string) => ["Via", `SIP/2.0/UDP ${text};branch=z9hG4bK1`] as const;

const TABLE: readonly (readonly [
  what: string,
  message: SipMessage,
  answered: string | null,
  hosts: readonly string[],
])[] = [
  ["a phone", invite(via("192.0.2.5:5060"), ["Contact", "<sip:a@192.0.2.5>"]), null, ["192.0.2.5"]],
  ["behind a NAT", invite(via("10.0.0.5;received=198.51.100.9;rport=5")), null, ["198.51.100.9"]],
  [
    "through a proxy that saw its source",
    invite(via("203.0.113.1"), via("10.0.0.5;received=198.51.100.9"), ["Contact", "<sip:a@10.0.0.5:5060>"]),
    null,
    ["203.0.113.1", "198.51.100.9", "10.0.0.5"],
  ],
  ["names tell nothing", invite(via("pbx.example.com"), ["Contact", "<sip:a@pbx.example.com>"]), null, []],
  ["IPv6, bracketed", invite(via("[2001:db8::5];received=[2001:db8::9]")), null, ["2001:db8::9"]],
  ["IPv4 in IPv6", invite(via("x;received=::ffff:192.0.2.5")), null, ["192.0.2.5"]],
  ["nowhere", invite(via("0.0.0.0"), ["Contact", "<sip:a@0.0.0.0>"]), null, []],
  ["broken headers", invite(["Via", "nonsense"], ["Contact", "<sip:"]), null, []],
  ["a star", invite(via("192.0.2.5"), ["Contact", "*"]), null, ["192.0.2.5"]],
  [
    "an answer: whom we asked, and its Contact; not our own Via",
    ok(via("192.0.2.1"), ["Contact", "<sip:b@198.51.100.9:1024>"]),
    "203.0.113.1",
    ["203.0.113.1", "198.51.100.9"],
  ],
  ["an answer without Contact", ok(via("192.0.2.1")), "203.0.113.1", ["203.0.113.1"]],
];

for (const [what, message, answered, hosts] of TABLE) {
  Deno.test(`signalling hosts: ${what}`, () => {
    assert.deepEqual(signallingHosts(message, answered), hosts);
  });
}

Deno.test("signalling hosts: a hundred Vias are eight", () => {
  const many = invite(...Array.from({ length: 100 }, (_, i) => via(`192.0.2.${i + 1}`)));
  assert.equal(signallingHosts(many, null).length, 8);
});
