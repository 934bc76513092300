// Answers to: lib/sip/message/uri.ts. Tables are used for parsing and formatting; comparisons after RFC 3261 19.1.4.

import fc from "fast-check";
import assert from "node:assert/strict";
import { WireError } from "../../../lib/base/errors.ts";
import { characterSet } from "../../../lib/sip/message/grammar.ts";
import {
  escapeUri,
  formatHostPort,
  formatSipUri,
  MAX_URI_LENGTH,
  PARAM_SAFE,
  parseHostPort,
  parseSipUri,
  PASSWORD_SAFE,
  sameSipUri,
  schemeOf,
  type SipUri,
  sipUri,
  unescapeUri,
  USER_SAFE,
  withoutSeparators,
} from "../../../lib/sip/message/uri.ts";

const params = (...pairs: [string, string | null][]) => new Map(pairs);

const CASES: [name: string, text: string, uri: SipUri, formatted?: string][] = [
  ["host only", "sip:example.net", sipUri("example.net")],
  ["user", "sip:alice@example.net", sipUri("example.net", { user: "alice" })],
  ["port", "sips:bob@10.0.0.1:5070", sipUri("10.0.0.1", { scheme: "sips", user: "bob", port: 5070 })],
  ["password", "sip:a:pw%3A@h", sipUri("h", { user: "a", password: "pw:" })],
  ["empty password", "sip:a:@h", sipUri("h", { user: "a", password: "" })],
  ["IPv6", "sip:[2001:db8::9]:5061", sipUri("2001:db8::9", { port: 5061 })],
  ["IPv6 without port", "sip:u@[::1]", sipUri("::1", { user: "u" })],
  [
    "flag and value",
    "sip:h;lr;transport=tcp",
    sipUri("h", { params: params(["lr", null], ["transport", "tcp"]) }),
  ],
  [
    "param case",
    "sip:h;TransPort=TCP",
    sipUri("h", { params: params(["transport", "TCP"]) }),
    "sip:h;transport=TCP",
  ],
  ["empty param value", "sip:h;x=", sipUri("h", { params: params(["x", null]) }), "sip:h;x"],
  [
    "first of repeated params wins",
    "sip:h;a=1;a=2",
    sipUri("h", { params: params(["a", "1"]) }),
    "sip:h;a=1",
  ],
  [
    "headers",
    "sip:u@h?subject=x&priority=urgent",
    sipUri("h", { user: "u", headers: "subject=x&priority=urgent" }),
  ],
  ["escaped @", "sip:u%40corp@h", sipUri("h", { user: "u@corp" })],
  ["escape not needed", "sip:%61lice@h", sipUri("h", { user: "alice" }), "sip:alice@h"],
  [
    "user with semicolon and question mark",
    "sip:a;b=1?c@h;d",
    sipUri("h", { user: "a;b=1?c", params: params(["d", null]) }),
  ],
  ["escaped null", "sip:nul%00x@h", sipUri("h", { user: "nul\0x" })],
  ["escaped UTF-8", "sip:j%C3%BCrgen@h", sipUri("h", { user: "jürgen" })],
  ["escaped bytes that are no UTF-8", "sip:x%FF%C3%BCy@h", sipUri("h", { user: "x\udcffüy" })],
  ["scheme case", "SIP:u@h", sipUri("h", { user: "u" }), "sip:u@h"],
  ["host with underscore and final dot", "sip:my_host.lan.", sipUri("my_host.lan.")],
  ["quirk: no user before @", "sip:@h", sipUri("h"), "sip:h"],
  [
    "quirk: empty port",
    "sip:u@h:;lr",
    sipUri("h", { user: "u", params: params(["lr", null]) }),
    "sip:u@h;lr",
  ],
  ["quirk: empty parameters", "sip:h;;lr;", sipUri("h", { params: params(["lr", null]) }), "sip:h;lr"],
  ["quirk: only empty parameters", "sip:h;;", sipUri("h"), "sip:h"],
  ["quirk: parameter without name", "sip:h;=x;lr", sipUri("h", { params: params(["lr", null]) }), "sip:h;lr"],
  [
    "quirk: blanks around parameters",
    "sip:h ; a = b ;\tlr",
    sipUri("h", { params: params(["a", "b"], ["lr", null]) }),
    "sip:h;a=b;lr",
  ],
  [
    "quirk: quoted parameter",
    'sip:u@h;x="a;b >c";y="";z="open',
    sipUri("h", { user: "u", params: params(["x", "a;b >c"], ["y", null], ["z", "open"]) }),
    "sip:u@h;x=a%3Bb%20%3Ec;y;z=open",
  ],
  ["quirk: % that is no escape", "sip:50%@h", sipUri("h", { user: "50%" }), "sip:50%25@h"],
  ["quirk: cut escape", "sip:a%4@h", sipUri("h", { user: "a%4" }), "sip:a%254@h"],
  ["line separator in the user", "sip:a\u2028b@h", sipUri("h", { user: "a\u2028b" }), "sip:a%E2%80%A8b@h"],
  ["tel", "tel:+1-201-555-0100", sipUri("", { scheme: "tel", user: "+1-201-555-0100" })],
  [
    "tel with context",
    "tel:7140;phone-context=example.com",
    sipUri("", { scheme: "tel", user: "7140", params: params(["phone-context", "example.com"]) }),
  ],
];

for (const [name, text, uri, formatted] of CASES) {
  Deno.test(`uri: ${name}`, () => {
    assert.deepEqual(parseSipUri(text), uri);
    assert.equal(formatSipUri(uri), formatted ?? text);
    assert.deepEqual(parseSipUri(formatSipUri(uri)), uri);
  });
}

const BAD: [name: string, text: string][] = [
  ["empty", ""],
  ["no scheme", "alice@example.net"],
  ["other scheme", "http://example.net"],
  ["no host", "sip:"],
  ["user but no host", "sip:alice@"],
  ["blank inside", "sip:al ice@h"],
  ["angle brackets", "<sip:h>"],
  ["line break", "sip:h\r\nVia: x"],
  ["NUL", "sip:h\0"],
  ["port not a number", "sip:h:http"],
  ["port too large", "sip:h:65536"],
  ["unclosed IPv6", "sip:[::1"],
  ["name in brackets", "sip:[example]"],
  ["IPv6 without brackets", "sip:::1"],
  ["two @", "sip:a@b@c"],
  ["quote in the user", 'sip:"a"@h'],
  ["blank in a parameter", "sip:h;a b=c"],
  ["line separator in the host", "sip:h\u2028"],
  ["tel without digits", "tel:+"],
  ["tel with letters", "tel:hello"],
  ["too long", `sip:${"a".repeat(MAX_URI_LENGTH)}@h`],
];

for (const [name, text] of BAD) {
  Deno.test(`uri: refused: ${name}`, () => assert.throws(() => parseSipUri(text), WireError));
}

const SAME: [a: string, b: string][] = [
  ["sip:%61lice@Example.com;transport=TCP", "sip:alice@exAMPle.CoM;Transport=tcp"],
  ["sip:carol@x.com", "sip:carol@x.com;newparam=5"],
  ["sip:carol@x.com;security=on", "sip:carol@x.com;newparam=5"],
  [
    "sip:b.com;transport=tcp;method=REGISTER?to=sip:x%40y.com",
    "sip:b.com;method=REGISTER;transport=tcp?to=sip:x%40y.com",
  ],
  ["sip:a@b.com?subject=p&priority=u", "sip:a@b.com?priority=u&subject=p"],
  ["tel:+1-201-555", "tel:+1(201)555"],
];
const DIFFERENT: [a: string, b: string][] = [
  ["sip:ALICE@b.com", "sip:alice@b.com"],
  ["sip:bob@b.com", "sip:bob@b.com:5060"],
  ["sip:bob@b.com", "sip:bob@b.com;transport=udp"],
  ["sip:bob@b.com", "sips:bob@b.com"],
  ["sip:bob@b.com", "sip:b.com"],
  ["sip:c@b.com", "sip:c@b.com?Subject=next"],
  ["sip:c@b.com;security=on", "sip:c@b.com;security=off"],
  ["sip:c@b.com", "sip:c@b.com;maddr=10.0.0.1"],
  ["sip:c:one@b.com", "sip:c:two@b.com"],
  ["sip:bob@10.4.1.4", "sip:bob@phone.b.com"],
  ["tel:+1201", "tel:1201"],
];

Deno.test("uri: 19.1.4 equivalence, both ways round", () => {
  for (const [a, b] of SAME) {
    assert.equal(sameSipUri(parseSipUri(a), parseSipUri(b)), true, `${a} = ${b}`);
    assert.equal(sameSipUri(parseSipUri(b), parseSipUri(a)), true, `${b} = ${a}`);
  }
  for (const [a, b] of DIFFERENT) {
    assert.equal(sameSipUri(parseSipUri(a), parseSipUri(b)), false, `${a} <> ${b}`);
    assert.equal(sameSipUri(parseSipUri(b), parseSipUri(a)), false, `${b} <> ${a}`);
  }
});

Deno.test("uri: any user, password and parameter survive formatting", () => {
  const text = fc.string({ minLength: 1, maxLength: 12, unit: "binary" }).filter((t) => t.isWellFormed());
  fc.assert(fc.property(text, fc.option(text), text, text, (user, password, name, value) => {
    const key = name.toLowerCase();
    const uri = sipUri("example.net", { user, password, params: new Map([[key, value]]) });
    assert.deepEqual(parseSipUri(formatSipUri(uri)), {
      ...uri,
      params: new Map([[key.toLowerCase(), value]]),
    });
  }));
});

Deno.test("uri: arbitrary text gives a URI that formats stably, or WireError", () => {
  const noise = fc.string({ maxLength: 40 }).map((tail) => `sip:${tail}`);
  const grammar = fc.array(
    fc.constantFrom("sip:", "a", "@", ":", ";", "=", "?", "%41", "%", "[", "]", "::1", "h", "50"),
  )
    .map((parts) => parts.join(""));
  fc.assert(fc.property(fc.oneof(noise, grammar), (input) => {
    let uri: SipUri;
    try {
      uri = parseSipUri(input);
    } catch (error) {
      return assert.ok(error instanceof WireError);
    }
    assert.deepEqual(parseSipUri(formatSipUri(uri)), uri);
  }));
});

Deno.test("uri: host and port alone", () => {
  for (const text of ["h", "h:5060", "[::1]", "[::1]:1", "10.0.0.1:65535"]) {
    const { host, port } = parseHostPort(text);
    assert.equal(formatHostPort(host, port), text);
  }
  assert.throws(() => parseHostPort("[::1]x"), WireError);
  assert.throws(() => parseHostPort("a b"), WireError);
});

Deno.test("uri: schemes and number separators", () => {
  assert.equal(schemeOf("MailTo:x@y"), "mailto");
  assert.equal(schemeOf("no scheme"), null);
  assert.equal(withoutSeparators("+1 (201) 555-01.00"), "+12015550100");
});

const ESCAPED: [text: string, escaped: string][] = [
  ["alice", "alice"],
  ["a b@c", "a%20b%40c"],
  ["ü€😀", "%C3%BC%E2%82%AC%F0%9F%98%80"],
  ["\0%", "%00%25"],
  ["\udcff\udc80", "%FF%80"],
  ["ü\udcc3", "%C3%BC%C3"],
  ["\ufffd", "%EF%BF%BD"],
  ["\ufffd\udcff", "%EF%BF%BD%FF"],
];

Deno.test("uri_escape: both ways, bytes that are no UTF-8 included", () => {
  for (const [text, escaped] of ESCAPED) {
    assert.equal(escapeUri(text, USER_SAFE), escaped);
    assert.equal(unescapeUri(escaped), text);
  }
});

Deno.test("uri_escape: what is safe depends on the place", () => {
  assert.equal(escapeUri("a;b?c:[/", USER_SAFE), "a;b?c%3A%5B/");
  assert.equal(escapeUri("a;b?c:[/", PASSWORD_SAFE), "a%3Bb%3Fc%3A%5B%2F");
  assert.equal(escapeUri("a;b?c:[/", PARAM_SAFE), "a%3Bb%3Fc:[/");
});

Deno.test("uri_escape: a % that starts no escape is a %", () => {
  const cases: [text: string, unescaped: string][] = [
    ["%", "%"],
    ["%4", "%4"],
    ["a%zz", "a%zz"],
    ["%%41", "%A"],
    ["%4%41b", "%4Ab"],
    ["%41%", "A%"],
  ];
  for (const [text, unescaped] of cases) assert.equal(unescapeUri(text), unescaped);
});

Deno.test("uri_escape: any bytes survive", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
    const escaped = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0").toUpperCase()}`).join("");
    assert.equal(escapeUri(unescapeUri(escaped), characterSet("")), escaped);
  }));
});
