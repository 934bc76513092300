// Answers to: lib/sip/message/name_addr.ts.

import assert from "node:assert/strict";
import fc from "fast-check";
import { WireError } from "../../../lib/base/errors.ts";
import {
  formatNameAddr,
  headerParamsOf,
  type NameAddr,
  nameAddrOf,
  parseDestination,
  parseNameAddr,
  parseNameAddrList,
  parseRoute,
  readNameAddr,
  withParam,
} from "../../../lib/sip/message/name_addr.ts";
import { formatSipUri, sipUri } from "../../../lib/sip/message/uri.ts";

const params = (...pairs: [string, string | null][]) => new Map(pairs);
const alice = sipUri("example.net", { user: "alice" });

const CASES: [name: string, text: string, value: NameAddr, formatted?: string][] = [
  ["brackets", "<sip:alice@example.net>", nameAddrOf(alice)],
  ["quoted name", '"Alice B." <sip:alice@example.net>', { ...nameAddrOf(alice), displayName: "Alice B." }],
  ["escaped quote", '"A \\"x\\" \\\\" <sip:alice@example.net>', {
    ...nameAddrOf(alice),
    displayName: 'A "x" \\',
  }],
  ["name with <, comma and ;", '"a<b,c;d>" <sip:alice@example.net>', {
    ...nameAddrOf(alice),
    displayName: "a<b,c;d>",
  }],
  [
    "bare words",
    "Alice Liddell <sip:alice@example.net>",
    { ...nameAddrOf(alice), displayName: "Alice Liddell" },
    '"Alice Liddell" <sip:alice@example.net>',
  ],
  [
    "no blank before <",
    "caller<sip:alice@example.net>",
    { ...nameAddrOf(alice), displayName: "caller" },
    '"caller" <sip:alice@example.net>',
  ],
  [
    "letters of other alphabets, unquoted",
    "Zoë <sip:alice@example.net>",
    { ...nameAddrOf(alice), displayName: "Zoë" },
    '"Zoë" <sip:alice@example.net>',
  ],
  ["header parameters", "<sip:alice@example.net>;tag=a1;q=0.5", {
    ...nameAddrOf(alice),
    params: params(["tag", "a1"], ["q", "0.5"]),
  }],
  [
    "URI parameters stay inside",
    "<sip:alice@example.net;lr>;expires=60",
    { displayName: null, uri: { ...alice, params: params(["lr", null]) }, params: params(["expires", "60"]) },
  ],
  [
    "quirk: no brackets, parameters belong to the header",
    "sip:alice@example.net;tag=77",
    { ...nameAddrOf(alice), params: params(["tag", "77"]) },
    "<sip:alice@example.net>;tag=77",
  ],
  [
    "blanks",
    "  <sip:alice@example.net> ; tag = x ",
    { ...nameAddrOf(alice), params: params(["tag", "x"]) },
    "<sip:alice@example.net>;tag=x",
  ],
  [
    "quoted parameter",
    '<sip:alice@example.net>;+sip.instance="<urn:uuid:1>"',
    { ...nameAddrOf(alice), params: params(["+sip.instance", "<urn:uuid:1>"]) },
  ],
];

for (const [name, text, value, formatted] of CASES) {
  Deno.test(`name_addr: ${name}`, () => {
    assert.deepEqual(parseNameAddr(text), value);
    assert.equal(formatNameAddr(value), formatted ?? text);
    assert.deepEqual(parseNameAddr(formatNameAddr(value)), value);
  });
}

const named = (displayName: string | null, ...pairs: [string, string | null][]) => ({
  displayName,
  uri: alice,
  params: params(...pairs),
});

/** What is odd and has one meaning. */
const ODD: [name: string, text: string, value: NameAddr][] = [
  ["unclosed quote", '"Alice <sip:alice@example.net>;tag=1', named("Alice", ["tag", "1"])],
  ["a quote that is escaped away", '"Alice\\" <sip:alice@example.net>;tag=1', named("Alice", ["tag", "1"])],
  ["text after the quoted name", '"Alice" B <sip:alice@example.net>', named("Alice B")],
  ["quote in the middle of a name", 'Al "the A" ice <sip:alice@example.net>', named("Al the A ice")],
  ["comma in a bare name", "Liddell, Alice <sip:alice@example.net>", named("Liddell, Alice")],
  ["round brackets in a bare name", "Alice (home) <sip:alice@example.net>", named("Alice (home)")],
  ["square brackets in a bare name", "Alice [PBX 2] <sip:alice@example.net>", named("Alice [PBX 2]")],
  ["angle brackets in a bare name", "Alice <home> <sip:alice@example.net>", named("Alice <home>")],
  ["a URI as the name", "sip:alice <sip:alice@example.net>;tag=1", named("sip:alice", ["tag", "1"])],
  ["a mail address as the name", "a@b.example <sip:alice@example.net>", named("a@b.example")],
  ["semicolon in a bare name", "Alice; B <sip:alice@example.net>", named("Alice; B")],
  ["empty name", '"" <sip:alice@example.net>', named(null)],
  ["empty parameters", "<sip:alice@example.net>;;; ;tag=1;", named(null, ["tag", "1"])],
  ["text after the bracket", "<sip:alice@example.net> x;tag=1", named(null, ["tag", "1"])],
  ["blanks inside the brackets", "< sip:alice@example.net >;tag=1", named(null, ["tag", "1"])],
  ["blanks around the = of a parameter", "<sip:alice@example.net> ; tag\t= 1", named(null, ["tag", "1"])],
  [
    "parameter that is never closed",
    '<sip:alice@example.net>;tag=1;x="y',
    named(null, ["tag", "1"], ["x", "y"]),
  ],
  [
    "no brackets, and brackets in a parameter",
    'sip:alice@example.net;+sip.instance="<urn:uuid:1>";audio',
    named(null, ["+sip.instance", "<urn:uuid:1>"], ["audio", null]),
  ],
  [
    "no brackets, and an address in a parameter",
    'sip:alice@example.net;x="<sip:bob@example.net>";tag=1',
    named(null, ["x", "<sip:bob@example.net>"], ["tag", "1"]),
  ],
  ["no brackets, empty parameters", "sip:alice@example.net;;tag=1;", named(null, ["tag", "1"])],
  [
    "quoted URI parameter",
    '<sip:alice@example.net;x="a>b">;tag=1',
    { displayName: null, uri: { ...alice, params: params(["x", "a>b"]) }, params: params(["tag", "1"]) },
  ],
  ["no user", "<sip:@example.net>", nameAddrOf(sipUri("example.net"))],
];

for (const [name, text, value] of ODD) {
  Deno.test(`name_addr: quirk: ${name}`, () => {
    assert.deepEqual(parseNameAddr(text), value);
    assert.deepEqual(parseNameAddr(formatNameAddr(value)), value);
  });
}

Deno.test("name_addr: of From and To that cannot be read the rest is", () => {
  const texts: [text: string, displayName: string | null, tag: string | null][] = [
    ["<http://www.example.com>;tag=1", null, "1"],
    ["isbn:2983792873;tag=1", null, "1"],
    ['"Alice" <sip:al ice@h>;tag=1', "Alice", "1"],
    ['"Alice" <sip:alice@h;tag=1', "Alice", "1"],
    ["anonymous", null, null],
    ["<>;tag=1", null, "1"],
    ["", null, null],
  ];
  for (const [text, displayName, tag] of texts) {
    const address = readNameAddr(text);
    assert.equal(formatSipUri(address.uri), "sip:anonymous@anonymous.invalid", text);
    assert.deepEqual([address.displayName, address.params.get("tag") ?? null], [displayName, tag], text);
    assert.equal(headerParamsOf(text).get("tag") ?? null, tag, text);
  }
  assert.deepEqual(readNameAddr("<sip:alice@example.net>;tag=1"), named(null, ["tag", "1"]));
});

Deno.test("name_addr: a route without brackets is all URI", () => {
  for (
    const text of [
      "sip:p.example;lr",
      "<sip:p.example;lr>",
      " <sip:p.example;lr;> ;;",
      '"P" <sip:p.example;lr>;x',
    ]
  ) {
    assert.equal(formatSipUri(parseRoute(text).uri), "sip:p.example;lr", text);
  }
  for (const text of ["p.example", "<p>", ""]) assert.throws(() => parseRoute(text), WireError, text);
});

const BAD: [name: string, text: string][] = [
  ["empty", ""],
  ["unclosed bracket", "<sip:alice@example.net"],
  ["blank in the user", "<sip:al ice@example.net>"],
  ["too long", `"${"x".repeat(20_000)}" <sip:alice@example.net>`],
  ["bare address with headers", "sip:alice@example.net?Route=x"],
  ["other scheme", "<mailto:alice@example.net>"],
];

for (const [name, text] of BAD) {
  Deno.test(`name_addr: refused: ${name}`, () => assert.throws(() => parseNameAddr(text), WireError));
}

Deno.test("name_addr: lists are cut outside quotes and brackets", () => {
  const list = parseNameAddrList('"a, b" <sip:x@h;m=1,2>;q=1, <sip:y@h>,sip:z@h;q=0.1');
  assert.deepEqual(list.map((one) => one.uri.user), ["x", "y", "z"]);
  assert.equal(list[0]!.displayName, "a, b");
  assert.equal(list[2]!.params.get("q"), "0.1");
});

Deno.test("name_addr: withParam leaves the original alone", () => {
  const address = nameAddrOf(alice);
  assert.equal(formatNameAddr(withParam(address, "tag", "t1")), "<sip:alice@example.net>;tag=t1");
  assert.equal(address.params.size, 0);
});

Deno.test("name_addr: a display name cannot smuggle in a line", () => {
  const text = formatNameAddr({ ...nameAddrOf(alice), displayName: "x\r\nVia: y\0" });
  assert.equal(text, '"x Via: y " <sip:alice@example.net>');
});

Deno.test("name_addr: any printable display name and parameter survive formatting", () => {
  const printable = fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" });
  fc.assert(fc.property(printable, printable, (displayName, value) => {
    const address = { displayName, uri: alice, params: new Map([["x", value]]) };
    assert.deepEqual(parseNameAddr(formatNameAddr(address)), address);
  }));
});

Deno.test("name_addr: arbitrary text gives an address or WireError", () => {
  const piece = fc.constantFrom(
    '"',
    "\\",
    "<",
    ">",
    ";",
    ",",
    "sip:a@h",
    "tag",
    "=",
    " ",
    "x",
    "é",
    "%",
    "\u2028",
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 15 }), (pieces) => {
    const text = pieces.join("");
    try {
      const address = parseNameAddr(text);
      assert.deepEqual(parseNameAddr(formatNameAddr(address)), address);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
    }
  }));
});

const DESTINATIONS: [typed: string, domain: string, uri: string][] = [
  ["sip:bob@there.net:5070", "here.net", "sip:bob@there.net:5070"],
  ["bob@there.net", "here.net", "sip:bob@there.net"],
  ["bob@10.0.0.1:5062", "here.net", "sip:bob@10.0.0.1:5062"],
  ["7140", "here.net", "sip:7140@here.net"],
  ["bob", "here.net:5070", "sip:bob@here.net:5070"],
  ["bob", "::1", "sip:bob@[::1]"],
  ["bob", "[::1]:5070", "sip:bob@[::1]:5070"],
  ["+1 (201) 555-0100", "here.net", "sip:+12015550100@here.net"],
  ["tel:+1-201-555-0100", "here.net", "sip:+12015550100@here.net;user=phone"],
  ["TEL:7140", "here.net", "sip:7140@here.net;user=phone"],
  ["sip:7140", "here.net", "sip:7140@here.net"],
  ["sip:there.net", "here.net", "sip:there.net"],
  ["192.0.2.7", "here.net", "sip:192.0.2.7"],
  ["192.0.2.7:5080", "here.net", "sip:192.0.2.7:5080"],
  ["[2001:db8::7]:5080", "here.net", "sip:[2001:db8::7]:5080"],
  ["*43#", "here.net", "sip:*43%23@here.net"],
  ['"Bob" <sip:bob@there.net>', "here.net", "sip:bob@there.net"],
  ["<tel:7140>", "here.net", "sip:7140@here.net;user=phone"],
  ["  bob ", "here.net", "sip:bob@here.net"],
];

Deno.test("name_addr: what people type", () => {
  for (const [typed, domain, uri] of DESTINATIONS) {
    assert.equal(formatSipUri(parseDestination(typed, domain).uri), uri, typed);
  }
  assert.equal(parseDestination('"Bob" <sip:bob@there.net>', "x").displayName, "Bob");
});

Deno.test("name_addr: what cannot be called is refused", () => {
  for (
    const typed of [
      "",
      "  ",
      "http:example",
      "mailto:bob@there.net",
      "sip:",
      "tel:hello",
      "<>",
      '"x',
      "@",
      "a@",
    ]
  ) {
    assert.throws(() => parseDestination(typed, "here.net"), WireError, typed);
  }
});
