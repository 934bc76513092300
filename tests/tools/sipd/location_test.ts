import assert from "node:assert/strict";
import { Location, MAX_CONTACTS, MAX_USERS } from "../../../lib/tools/sipd/location.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import { NO_BODY, type SipRequest } from "../../../lib/sip/message/message.ts";
import { formatSipUri, parseSipUri } from "../../../lib/sip/message/uri.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function register(user: string, contacts: string[], expires?: string): SipRequest {
  const headers = new SipHeaders([
    ["Via", "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKa"],
    ["From", `<sip:${user}@example.com>;tag=f`],
    ["To", `<sip:${user}@example.com>`],
    ["Call-ID", "c1"],
    ["CSeq", "1 REGISTER"],
  ]);
  for (const contact of contacts) headers.add("Contact", contact);
  if (expires !== undefined) headers.set("Expires", expires);
  return { kind: "request", method: "REGISTER", uri: parseSipUri("sip:example.com"), headers, body: NO_BODY };
}

const found = (location: Location, user: string) => {
  const uri = location.find(user);
  return uri === null ? null : formatSipUri(uri);
};

Deno.test("a registration is found until it expires, and the answer lists it with its seconds", () => {
  const clock = new FakeClock();
  const location = new Location(clock);
  const response = location.register(register("alice", ["<sip:alice@127.0.0.1:5071;line=x>"], "60"), "t");
  assert.equal(response.status, 200);
  assert.match(response.headers.get("Contact") ?? "", /line=x.*expires=60/);
  assert.equal(found(location, "alice"), "sip:alice@127.0.0.1:5071;line=x");
  clock.advance(60_000);
  assert.equal(found(location, "alice"), null);
  assert.equal(location.size, 0);
});

Deno.test("the newest contact wins, and leaving gives the older one back", () => {
  const location = new Location(new FakeClock());
  location.register(register("bob", ["<sip:bob@127.0.0.1:1001>"]), "t");
  location.register(register("bob", ["<sip:bob@127.0.0.1:1002>;expires=30"]), "t");
  assert.equal(found(location, "bob"), "sip:bob@127.0.0.1:1002");
  location.register(register("bob", ["<sip:bob@127.0.0.1:1002>;expires=0"]), "t");
  assert.equal(found(location, "bob"), "sip:bob@127.0.0.1:1001");
  location.register(register("bob", ["*"], "0"), "t");
  assert.equal(found(location, "bob"), null);
});

Deno.test("an asterisk without Expires 0 removes nothing", () => {
  const location = new Location(new FakeClock());
  location.register(register("bob", ["<sip:bob@127.0.0.1:1001>"]), "t");
  location.register(register("bob", ["*"], "60"), "t");
  assert.equal(found(location, "bob"), "sip:bob@127.0.0.1:1001");
});

Deno.test("built-in numbers are found and cannot be taken over", () => {
  const location = new Location(new FakeClock());
  location.addBuiltIn("echo", parseSipUri("sip:echo@127.0.0.1:9"));
  assert.equal(location.register(register("echo", ["<sip:evil@127.0.0.1:1>"]), "t").status, 403);
  assert.equal(found(location, "echo"), "sip:echo@127.0.0.1:9");
});

Deno.test("a broken contact gets 400 and no address gets 404", () => {
  const location = new Location(new FakeClock());
  assert.equal(location.register(register("bob", ["<nonsense"]), "t").status, 400);
  const nobody = register("bob", []);
  nobody.headers.set("To", "<sip:example.com>");
  assert.equal(location.register(nobody, "t").status, 404);
});

Deno.test("contacts per user and users are bounded; expired users make room", () => {
  const clock = new FakeClock();
  const location = new Location(clock);
  for (let i = 0; i < MAX_CONTACTS + 5; i++) {
    location.register(register("many", [`<sip:many@127.0.0.1:${2000 + i}>`]), "t");
  }
  const listing = location.register(register("many", []), "t");
  assert.equal(listing.headers.all("Contact").length, MAX_CONTACTS);
  for (let i = 0; i < MAX_USERS - 1; i++) {
    location.register(register(`u${i}`, ["<sip:u@127.0.0.1:3000>"], "60"), "t");
  }
  assert.equal(location.register(register("late", ["<sip:l@127.0.0.1:1>"]), "t").status, 503);
  clock.advance(61_000);
  assert.equal(location.register(register("late", ["<sip:l@127.0.0.1:1>"]), "t").status, 200);
});
