// Answers to: lib/sip/ua/dialog_headers.ts.

import assert from "node:assert/strict";
import { contactOf, routesOf } from "../../../lib/sip/ua/dialog_headers.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import { NO_BODY, type SipResponse } from "../../../lib/sip/message/message.ts";
import { formatSipUri } from "../../../lib/sip/message/uri.ts";

function message(name: string, value: string): SipResponse {
  return {
    kind: "response",
    status: 200,
    reason: "",
    headers: new SipHeaders([[name, value]]),
    body: NO_BODY,
  };
}

const CONTACTS: [value: string, uri: string | null][] = [
  ["<sip:a@h>", "sip:a@h"],
  ["sip:a@h;expires=5", "sip:a@h"],
  ['sip:a@h;+sip.instance="<urn:x>, <urn:y>"', "sip:a@h"],
  ["Bell, Alexander <sip:a@h>", "sip:a@h"],
  ['"Bell, Alexander" <sip:a@h>, <sip:b@h>', "sip:a@h"],
  ["<mailto:a@h>, <sip:a@h;ob;>;;", "sip:a@h;ob"],
  [",, <sip:a@h> ,", "sip:a@h"],
  ['"Bell <sip:a@h>', "sip:a@h"],
  ["<sip:@h:5070>", "sip:h:5070"],
  ["<sip:a@h", null],
  ["*", null],
  ["", null],
];

Deno.test("dialog_headers: the first Contact that can be used", () => {
  for (const [value, uri] of CONTACTS) {
    const contact = contactOf(message("m", value));
    assert.equal(contact === null ? null : formatSipUri(contact.uri), uri, value);
  }
});

const ROUTES: [value: string, texts: string[]][] = [
  ["<sip:p1;lr>,<sip:p2;lr>", ["<sip:p1;lr>", "<sip:p2;lr>"]],
  ["<sip:p1;lr;>", ["<sip:p1;lr;>"]],
  ["<sip:p1;lr>;;, ,", ["<sip:p1;lr>"]],
  ["sip:p1;lr, sip:p2", ["<sip:p1;lr>", "<sip:p2>"]],
  ["Proxy, One <sip:p1;lr>", ["One <sip:p1;lr>"]],
  ["<sip:p1;lr, <x>, <sip:p2;lr>;a=b", ["<sip:p2;lr>;a=b"]],
  ["nonsense", []],
];

Deno.test("dialog_headers: the hops that can be read, in brackets", () => {
  for (const [value, texts] of ROUTES) {
    assert.deepEqual(routesOf(message("Record-Route", value)).map(({ text }) => text), texts, value);
  }
});
