import assert from "node:assert/strict";
import fc from "fast-check";
import {
  callerHeaders,
  MAX_EXTRA_HEADERS,
  readExtraHeaders,
  readFromUser,
} from "../../../lib/sip/message/extra_headers.ts";
import { encodeSipMessage } from "../../../lib/sip/message/message.ts";
import { decodeSipDatagram } from "../../../lib/sip/message/parser.ts";
import { sipRequest } from "../../support/sip_messages.ts";

/** Tables that are taken, and what comes of them. */
const TAKEN: [table: unknown, headers: [string, string][]][] = [
  [{}, []],
  [{ "X-Tenant": "7" }, [["X-Tenant", "7"]]],
  [{ "X-Tenant": 7 }, [["X-Tenant", "7"]]],
  [{ "P-Asserted-Identity": "<sip:+4930123@example.com>" }, [[
    "P-Asserted-Identity",
    "<sip:+4930123@example.com>",
  ]]],
  [{ Privacy: "id", Diversion: "<sip:a@b>;reason=unconditional" }, [
    ["Privacy", "id"],
    ["Diversion", "<sip:a@b>;reason=unconditional"],
  ]],
  [{ Subject: "  Grüße  " }, [["Subject", "Grüße"]]],
];

for (const [table, headers] of TAKEN) {
  Deno.test(`headers taken: ${JSON.stringify(table)}`, () =>
    assert.deepEqual(readExtraHeaders(table), headers));
}

/** Tables that are not, and why. */
const REFUSED: [table: unknown, words: RegExp][] = [
  ...[null, 7, "X-A: 1", ["X-A"], true].map((
    table,
  ): [unknown, RegExp] => [table, /must be names and values/]),
  ...[
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
      "Require",
    ],
    ...["Supported", "Authorization", "Proxy-Authorization", "Content-Length", "Content-Type", "User-Agent"],
    ...[
      "via",
      "VIA",
      "v",
      "f",
      "t",
      "i",
      "m",
      "l",
      "c",
      "k",
      "x",
      "Session-Expires",
      "Min-SE",
      "RAck",
      "Replaces",
    ],
  ].map((name): [unknown, RegExp] => [{ [name]: "1" }, /which is the gateway's own to write/]),
  ...["X A", "X:A", "X-A\r\nVia", "", "X-Ä", "X".repeat(65)].map((name): [unknown, RegExp] => [
    { [name]: "1" },
    /has a name that is none of a SIP header/,
  ]),
  ...["1\r\nVia: x", "1\nVia: x", "1\rx", "a\0b", "a\u0085b", "a\u2028b", "a\u001bb"].map((
    value,
  ): [unknown, RegExp] => [{ "X-A": value }, /of one line, without control characters/]),
  ...["", "   ", "x".repeat(513), null, true, {}, ["1"]].map((value): [unknown, RegExp] => [
    { "X-A": value },
    /must give "X-A" a text of 1 to 512 characters/,
  ]),
  [
    Object.fromEntries(Array.from({ length: MAX_EXTRA_HEADERS + 1 }, (_, n) => [`X-${n}`, "1"])),
    /more than 32/,
  ],
];

for (const [table, words] of REFUSED) {
  Deno.test(`headers refused: ${JSON.stringify(table)?.slice(0, 60)}`, () => {
    const outcome = readExtraHeaders(table);
    assert.ok(typeof outcome === "string");
    assert.match(outcome, words);
  });
}

Deno.test("headers: whatever is taken is one header of the message and changes no other", () => {
  fc.assert(fc.property(fc.string(), fc.string(), (name, value) => {
    const headers = readExtraHeaders({ [name]: value });
    if (typeof headers === "string") return;
    const request = sipRequest("INVITE");
    request.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx");
    const before = [...request.headers.entries()].length;
    for (const [key, text] of headers) request.headers.add(key, text);
    const { message } = decodeSipDatagram(encodeSipMessage(request));
    assert.equal(message.kind === "request" && message.method, "INVITE");
    assert.ok([...message.headers.entries()].length >= before);
    assert.equal(message.headers.get("Call-ID"), request.headers.get("Call-ID"));
  }));
});

/** User parts of From. */
const USERS: [written: unknown, user: string | null][] = [
  ["4930123", "4930123"],
  [4930123, "4930123"],
  ["+49-30-123", "+49-30-123"],
  ["alice.b", "alice.b"],
  ["", null],
  ["a b", null],
  ["a@b", null],
  ["a>b", null],
  ["a\r\nb", null],
  ['a"b', null],
  ["a;b", null],
  ["x".repeat(65), null],
  [true, null],
  [{}, null],
];

for (const [written, user] of USERS) {
  Deno.test(`From user ${JSON.stringify(written)?.slice(0, 40)}`, () =>
    assert.equal(readFromUser(written), user));
}

/** Headers of an INVITE, and what the client hears of them. */
const CALLERS: [headers: Record<string, string | string[]>, told: Record<string, string>][] = [
  [{}, {}],
  [{ "P-Asserted-Identity": '"Bob" <sip:bob@example.com>' }, {
    "P-Asserted-Identity": '"Bob" <sip:bob@example.com>',
  }],
  [{ "P-Asserted-Identity": ["<sip:bob@example.com>", "<tel:+4930123>"] }, {
    "P-Asserted-Identity": "<sip:bob@example.com>, <tel:+4930123>",
  }],
  [{ "Remote-Party-ID": '"B" <sip:1@x>;party=calling;privacy=off' }, {
    "Remote-Party-ID": '"B" <sip:1@x>;party=calling;privacy=off',
  }],
  [{ "X-Tenant": "7", "x-queue": "sales", Subject: "no" }, { "X-Tenant": "7", "X-Queue": "sales" }],
  [{ "P-Asserted-Identity": '"never closed <sip:b@x>' }, {
    "P-Asserted-Identity": '"never closed <sip:b@x>',
  }],
  [{ "X-Long": "y".repeat(2000) }, { "X-Long": "y".repeat(512) }],
];

for (const [headers, told] of CALLERS) {
  Deno.test(`a caller says ${JSON.stringify(headers).slice(0, 60)}`, () => {
    assert.deepEqual(callerHeaders(sipRequest("INVITE", headers)), told);
  });
}

Deno.test("a caller says too much: bounded", () => {
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`X-H${n}`, `${n}`]));
  assert.equal(Object.keys(callerHeaders(sipRequest("INVITE", many))).length, MAX_EXTRA_HEADERS);
});
