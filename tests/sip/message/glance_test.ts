// A glance must never condemn what the parser would take.

import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { glance } from "../../../lib/sip/message/glance.ts";
import { tagOf } from "../../../lib/sip/message/message.ts";
import { decodeSipDatagram, isKeepAlive, SipParseError } from "../../../lib/sip/message/parser.ts";
import { mutate } from "../../support/mutate.ts";

const HEAD = "Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\n" +
  "Call-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n";

function look(text: string): string {
  const seen = glance(encodeUtf8(text));
  if (seen.type !== "request") return seen.type;
  return `${seen.method} ${seen.uri.user ?? ""}@${seen.uri.host}${seen.inDialog ? " in dialog" : ""}`;
}

Deno.test("glance: what a datagram is", () => {
  const table: [text: string, seen: string][] = [
    [`OPTIONS sip:bob@host SIP/2.0\r\n${HEAD}`, "OPTIONS bob@host"],
    [`OPTIONS sip:host SIP/2.0\r\n${HEAD}`, "OPTIONS @host"],
    [`\r\n\r\nOPTIONS sip:bob@host sip/2.0\r\n${HEAD}`, "OPTIONS bob@host"],
    [`OPTIONS sip:bob@host SIP/2.0\r\n${HEAD}`.replaceAll("\r", ""), "OPTIONS bob@host"],
    [`BYE sip:bob@host SIP/2.0\r\n${HEAD}`.replace("<sip:b@h>", "<sip:b@h>;tag=x"), "BYE bob@host in dialog"],
    [
      `BYE sip:bob@host SIP/2.0\r\n${HEAD}`.replace("To: <sip:b@h>", "t: <sip:b@h>\r\n ; Tag = x"),
      "BYE bob@host in dialog",
    ],
    [
      `OPTIONS sip:b@h SIP/2.0\r\n${HEAD}`.replace("Via", "v").replace("Call-ID", "i").replace("From", "f"),
      "OPTIONS b@h",
    ],
    [`SIP/2.0 200 OK\r\n${HEAD}`, "response"],
    [`OPTIONS sip:bob@host SIP/2.0\r\n${HEAD}`.replace(/CSeq.*\r\n/, ""), "rubbish"],
    [`OPTIONS sip:bob@host SIP/2.0\r\n${HEAD}`.trimEnd(), "rubbish"],
    [`OPTIONS bob SIP/2.0\r\n${HEAD}`, "rubbish"],
    [`OPTIONS sip:bob@host SIP/3.0\r\n${HEAD}`, "rubbish"],
    [`GET / HTTP/1.1\r\nHost: h\r\n\r\n`, "rubbish"],
    ["x".repeat(1000), "rubbish"],
    ["", "rubbish"],
  ];
  for (const [text, seen] of table) assert.equal(look(text), seen, text);
});

Deno.test("glance: never throws, and whatever the parser takes is seen as what it is", () => {
  const good = encodeUtf8(`INVITE sip:bob@host;line=1 SIP/2.0\r\n${HEAD.replace("OPTIONS", "INVITE")}`);
  const inCall = encodeUtf8(`SIP/2.0 200 OK\r\n${HEAD}`);
  fc.assert(
    fc.property(fc.constantFrom(good, inCall), fc.nat(), (message, seed) => {
      const bytes = mutate(message, seed);
      const seen = glance(bytes);
      const parsed = isKeepAlive(bytes) ? null : parse(bytes);
      if (parsed === null) return;
      if (parsed.kind === "response") return assert.equal(seen.type, "response");
      assert.ok(seen.type === "request", JSON.stringify(seen));
      assert.equal(seen.method, parsed.method);
      assert.deepEqual(seen.uri, parsed.uri);
      if (tagOf(parsed.headers.get("To")) !== null) assert.ok(seen.inDialog);
    }),
    { numRuns: 3000 },
  );
});

function parse(bytes: Uint8Array) {
  try {
    return decodeSipDatagram(bytes).message;
  } catch (error) {
    if (error instanceof SipParseError) return null;
    throw error;
  }
}
