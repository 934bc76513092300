// Answers to: lib/sip/ua/dialog.ts. Creation on both sides, routes as in RFC 3261 12.2.1.1 and 16.12, sequence numbers.

import assert from "node:assert/strict";
import { WireError } from "../../../lib/base/errors.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import { dialogId, dialogIdOfRequest, dialogIdOfResponse } from "../../../lib/sip/message/matching.ts";
import { NO_BODY, type SipResponse } from "../../../lib/sip/message/message.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { formatSipUri } from "../../../lib/sip/message/uri.ts";
import {
  answerFault,
  contactOf,
  Dialog,
  DialogTable,
  type DialogUser,
  namesItsTarget,
  routesOf,
} from "../../../lib/sip/ua/dialog.ts";
import { type HeaderChanges, receivedRequest, responseTo, sipRequest } from "../../support/sip_messages.ts";

const VIA = { Via: "SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKours" };

function caller(response: HeaderChanges = {}, status = 200, request: HeaderChanges = {}): Dialog {
  const invite = sipRequest("INVITE", { ...VIA, CSeq: "10 INVITE", ...request });
  return Dialog.fromResponse(
    invite,
    responseTo(invite, status, "bob-1", { Contact: "<sip:bob@192.0.2.1>", ...response }),
  );
}

function callee(changes: HeaderChanges = {}): Dialog {
  const invite = receivedRequest("INVITE", { CSeq: "314 INVITE", ...changes });
  return Dialog.fromRequest(invite, "ours", parseNameAddr("<sip:bob@192.0.2.99:5070;line=x>"));
}

Deno.test("dialog: the caller's side of a 2xx (12.1.2)", () => {
  const dialog = caller();
  assert.deepEqual(
    [dialog.state, dialog.callId, dialog.localTag, dialog.remoteTag, dialog.secure],
    ["confirmed", "call-1", "alice-1", "bob-1", false],
  );
  assert.deepEqual([dialog.localCSeq, dialog.remoteCSeq], [10, null]);
  assert.equal(formatSipUri(dialog.remoteTarget), "sip:bob@192.0.2.1");
  assert.deepEqual([formatSipUri(dialog.local.uri), formatSipUri(dialog.remote.uri)], [
    "sip:alice@example.net",
    "sip:bob@example.net",
  ]);
});

Deno.test("dialog: the callee's side (12.1.1)", () => {
  const dialog = callee();
  assert.deepEqual([dialog.state, dialog.localTag, dialog.remoteTag], ["early", "ours", "alice-1"]);
  assert.deepEqual([dialog.localCSeq, dialog.remoteCSeq], [0, 314]);
  assert.equal(formatSipUri(dialog.remoteTarget), "sip:alice@192.0.2.99:5070");
  dialog.confirm();
  assert.equal(dialog.state, "confirmed");
  const bye = dialog.createRequest("BYE");
  assert.equal(bye.headers.get("From"), "<sip:bob@example.net>;tag=ours");
  assert.equal(bye.headers.get("To"), "<sip:alice@example.net>;tag=alice-1");
  assert.equal(bye.headers.get("CSeq"), "1 BYE");
  assert.equal(bye.headers.has("Contact"), false);
});

Deno.test("dialog: its id is that of the messages inside, on both sides", () => {
  const invite = sipRequest("INVITE", VIA);
  const ok = responseTo(invite, 200, "bob-1", { Contact: "<sip:bob@192.0.2.1>" });
  const ours = Dialog.fromResponse(invite, ok);
  assert.equal(ours.id, dialogIdOfResponse(ok));
  const theirs = Dialog.fromRequest(invite, "bob-1", parseNameAddr("<sip:bob@192.0.2.1>"));
  assert.equal(theirs.id, dialogIdOfRequest(ours.createRequest("BYE")));
  assert.equal(ours.id, dialogIdOfRequest(theirs.createRequest("BYE")));
});

Deno.test("dialog: forks have their own ids and sequence numbers", () => {
  const invite = sipRequest("INVITE", VIA);
  const fork = (tag: string): Dialog => Dialog.fromResponse(invite, responseTo(invite, 183, tag));
  const [a, b] = [fork("a"), fork("b")];
  assert.notEqual(a.id, b.id);
  a.createRequest("PRACK");
  a.createRequest("UPDATE");
  assert.equal(b.createRequest("PRACK").headers.get("CSeq"), "2 PRACK");
  assert.equal(a.localCSeq, 3);
});

Deno.test("dialog: a peer of RFC 2543 has no tag", () => {
  const dialog = callee({ From: "sip:old@example.net" });
  assert.equal(dialog.remoteTag, "");
  const bye = dialog.createRequest("BYE");
  assert.equal(bye.headers.get("To"), "sip:old@example.net");
  assert.equal(
    dialog.id,
    dialogIdOfRequest(receivedRequest("BYE", {
      From: "sip:old@example.net",
      To: "<sip:bob@example.net>;tag=ours",
    })),
  );
});

const LOOSE = ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"];
const STRICT = ["<sip:p1.example.com>", "<sip:p2.example.com;lr>"];

interface RouteRow {
  readonly name: string;
  readonly dialog: Dialog;
  readonly uri: string;
  readonly routes: readonly string[];
  readonly next: string;
}

const routeRows: readonly RouteRow[] = [
  { name: "caller, none", dialog: caller(), uri: "sip:bob@192.0.2.1", routes: [], next: "sip:bob@192.0.2.1" },
  {
    name: "caller, loose: the list turned round",
    dialog: caller({ "Record-Route": LOOSE }),
    uri: "sip:bob@192.0.2.1",
    routes: [LOOSE[1]!, LOOSE[0]!],
    next: "sip:p2.example.com;lr",
  },
  {
    name: "callee, loose: the list as it is",
    dialog: callee({ "Record-Route": LOOSE.join(", ") }),
    uri: "sip:alice@192.0.2.99:5070",
    routes: LOOSE,
    next: "sip:p1.example.com;lr",
  },
  {
    name: "callee, strict: the first route is the Request-URI, the target the last route",
    dialog: callee({ "Record-Route": STRICT }),
    uri: "sip:p1.example.com",
    routes: ["<sip:p2.example.com;lr>", "<sip:alice@192.0.2.99:5070>"],
    next: "sip:p1.example.com",
  },
  {
    name: "caller, a strict hop behind a loose one is the next hop's affair",
    dialog: caller({ "Record-Route": STRICT }),
    uri: "sip:bob@192.0.2.1",
    routes: ["<sip:p2.example.com;lr>", "<sip:p1.example.com>"],
    next: "sip:p2.example.com;lr",
  },
  {
    name: "routes keep every parameter as it was written",
    dialog: callee({ "Record-Route": '"P" <sip:p1.example.com;LR=on;ftag=a%2Bb>;x=Y' }),
    uri: "sip:alice@192.0.2.99:5070",
    routes: ['"P" <sip:p1.example.com;LR=on;ftag=a%2Bb>;x=Y'],
    next: "sip:p1.example.com;lr=on;ftag=a+b",
  },
  {
    name: "caller, no Contact anywhere: the INVITE's own target",
    dialog: caller({ Contact: null }, 200, { Contact: null }),
    uri: "sip:bob@example.net",
    routes: [],
    next: "sip:bob@example.net",
  },
];

for (const row of routeRows) {
  Deno.test(`dialog routes: ${row.name}`, () => {
    for (const request of [row.dialog.createRequest("INFO"), row.dialog.createAck(sipRequest("INVITE"))]) {
      assert.equal(formatSipUri(request.uri), row.uri);
      assert.deepEqual(request.headers.all("Route"), row.routes);
    }
    assert.equal(formatSipUri(row.dialog.nextHop), row.next);
  });
}

Deno.test("dialog: method and headers of a Contact do not get into the Request-URI (19.1.1)", () => {
  const dialog = callee({ Contact: "<sip:alice@192.0.2.7;transport=tcp;method=INVITE?Subject=x>" });
  assert.equal(formatSipUri(dialog.createRequest("BYE").uri), "sip:alice@192.0.2.7;transport=tcp");
});

Deno.test("dialog: an early one takes route set and target anew from the 2xx, once (13.2.2.4)", () => {
  const invite = sipRequest("INVITE", VIA);
  const dialog = Dialog.fromResponse(invite, responseTo(invite, 180, "bob-1", { "Record-Route": LOOSE }));
  assert.deepEqual([dialog.state, formatSipUri(dialog.remoteTarget)], ["early", "sip:bob@example.net"]);
  const ok = (host: string): HeaderChanges => ({
    "Record-Route": "<sip:p9.example.com;lr>",
    Contact: `<sip:bob@${host}>`,
  });
  dialog.confirm(responseTo(invite, 200, "bob-1", ok("192.0.2.8")));
  assert.deepEqual([dialog.state, formatSipUri(dialog.remoteTarget)], ["confirmed", "sip:bob@192.0.2.8"]);
  assert.deepEqual(dialog.routeSet.map((route) => route.uri.host), ["p9.example.com"]);
  dialog.confirm(responseTo(invite, 200, "bob-1", { ...ok("192.0.2.9"), "Record-Route": LOOSE }));
  assert.deepEqual(dialog.routeSet.map((route) => route.uri.host), ["p9.example.com"]);
});

Deno.test("dialog: a 2xx whose routes cannot be read is confirmed with those of the early dialog", () => {
  const invite = sipRequest("INVITE", VIA);
  const dialog = Dialog.fromResponse(invite, responseTo(invite, 180, "bob-1", { "Record-Route": LOOSE }));
  dialog.confirm(responseTo(invite, 200, "bob-1", { "Record-Route": "<sip:" }));
  assert.deepEqual([dialog.state, dialog.routeSet.length], ["confirmed", 2]);
});

Deno.test("dialog: a target refresh moves the target, never the route (12.2)", () => {
  const dialog = caller({ "Record-Route": LOOSE });
  dialog.refreshTarget(
    receivedRequest("UPDATE", { Contact: "<sip:bob@192.0.2.55>", "Record-Route": "<sip:q;lr>" }),
  );
  assert.equal(formatSipUri(dialog.remoteTarget), "sip:bob@192.0.2.55");
  assert.equal(dialog.routeSet.length, 2);
  dialog.refreshTarget(receivedRequest("UPDATE", { Contact: null }));
  dialog.refreshTarget(receivedRequest("UPDATE", { Contact: "*" }));
  dialog.refreshTarget(receivedRequest("UPDATE", { Contact: "<http://example.net>" }));
  assert.equal(formatSipUri(dialog.remoteTarget), "sip:bob@192.0.2.55");
});

Deno.test("dialog: requests count up, retries too; Contact where the target is refreshed", () => {
  const dialog = caller();
  const reinvite = dialog.createRequest("INVITE");
  assert.deepEqual([...reinvite.headers.entries()].map(([name, value]) => `${name}: ${value}`), [
    "Max-Forwards: 70",
    "From: <sip:alice@example.net>;tag=alice-1",
    "To: <sip:bob@example.net>;tag=bob-1",
    "Call-ID: call-1",
    "CSeq: 11 INVITE",
    "Contact: <sip:alice@192.0.2.99:5070>",
  ]);
  const again = dialog.renumber(reinvite);
  assert.deepEqual([again.headers.get("CSeq"), reinvite.headers.get("CSeq")], ["12 INVITE", "11 INVITE"]);
  assert.equal(dialog.createRequest("BYE").headers.get("CSeq"), "13 BYE");
});

Deno.test("dialog: the ACK has number and credentials of its INVITE (13.2.2.4)", () => {
  const dialog = caller();
  const reinvite = dialog.createRequest("INVITE");
  reinvite.headers.add("Proxy-Authorization", 'Digest username="a", realm="one"');
  reinvite.headers.add("Proxy-Authorization", 'Digest username="a", realm="two"');
  dialog.createRequest("INFO");
  const ack = dialog.createAck(reinvite);
  assert.equal(ack.headers.get("CSeq"), "11 ACK");
  assert.deepEqual(ack.headers.all("Proxy-Authorization"), reinvite.headers.all("Proxy-Authorization"));
  assert.deepEqual([ack.method, ack.headers.has("Contact"), dialog.localCSeq], ["ACK", false, 12]);
});

Deno.test("dialog: numbers of the peer must rise, gaps are fine (12.2.2)", () => {
  const dialog = callee();
  const accept = (number: number): string =>
    dialog.acceptRequest(receivedRequest("INFO", { CSeq: `${number} INFO` }));
  assert.deepEqual([315, 400, 399, 400, 314, 401].map(accept), [
    "ok",
    "ok",
    "out-of-order",
    "ok",
    "out-of-order",
    "ok",
  ]);
  assert.equal(dialog.remoteCSeq, 401);
  const first = caller();
  assert.equal(first.acceptRequest(receivedRequest("INFO", { CSeq: "0 INFO" })), "ok");
});

Deno.test("dialog: sips makes it secure, terminated stays terminated", () => {
  const invite = sipRequest("INVITE", VIA, "sips:bob@example.net");
  const dialog = Dialog.fromResponse(invite, responseTo(invite, 180));
  assert.equal(dialog.secure, true);
  dialog.terminate();
  dialog.confirm();
  assert.equal(dialog.state, "terminated");
});

Deno.test("dialog: what cannot be called back is a WireError", () => {
  for (const Contact of ["*", "<http://example.net>"]) {
    assert.throws(() => callee({ Contact }), WireError);
  }
});

Deno.test("dialog: what is not needed to call back may be anything", () => {
  assert.deepEqual(callee({ "Record-Route": "<sip:" }).routeSet, []);
  assert.deepEqual(caller({ "Record-Route": "<sip:" }).routeSet, []);
  assert.equal(formatSipUri(callee({ Contact: null }).remoteTarget), "sip:alice@example.net");
  const dialog = callee({ From: "<http://x>;tag=theirs" });
  assert.equal(dialog.remoteTag, "theirs");
  assert.equal(dialog.remote.uri.host, "anonymous.invalid");
});

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

/** Headers of a 2xx, its fault, and whether requests can go by what it says. */
const ANSWERS: [headers: Record<string, string | null>, fault: string | null, target: boolean][] = [
  [{ Contact: "<sip:bob@192.0.2.1>" }, null, true],
  [{ Contact: "sip:bob@192.0.2.1" }, null, true],
  [{ Contact: null }, null, false],
  [{ Contact: "*" }, null, false],
  [{ Contact: "<sip:bob@192.0.2.1" }, "its Contact cannot be read", false],
  [{ Contact: "<http://192.0.2.1>" }, "its Contact cannot be read", false],
  [{ Contact: "<sip:bob@192.0.2.1>", "Record-Route": "<sip:" }, "its Record-Route cannot be read", false],
  [{ Contact: "<sip:bob@192.0.2.1>", "Record-Route": "<sip:p;lr>" }, null, true],
  [{ Contact: "Bell, Alexander <sip:bob@192.0.2.1>" }, null, true],
  [{ Contact: 'sip:bob@192.0.2.1;+sip.instance="<urn:x>"' }, null, true],
  [{ Contact: '"Bob <sip:bob@192.0.2.1;>;;' }, null, true],
  [{ Contact: "<sip:bob@192.0.2.1>", "Record-Route": "Edge, One <sip:p;lr;>;;" }, null, true],
  [{ Contact: "<sip:bob@192.0.2.1>", "Record-Route": "sip:p;lr" }, null, true],
  [{ Contact: "<sip:bob@192.0.2.1>", Require: "100rel, timer" }, null, true],
  [{ Contact: "<sip:bob@192.0.2.1>", Require: "timer, precondition" }, "it requires precondition", true],
];

for (const [headers, fault, target] of ANSWERS) {
  Deno.test(`a 2xx with ${JSON.stringify(headers)}: ${fault ?? "fine"}`, () => {
    const response = responseTo(sipRequest("INVITE"), 200, "bob", headers);
    assert.equal(answerFault(response), fault);
    assert.equal(namesItsTarget(response), target);
  });
}

const user = (): DialogUser => ({ receive: () => {} });

Deno.test("a request finds the dialog with its Call-ID and tags, seen from our side", () => {
  const table = new DialogTable();
  const ours = user();
  table.add(dialogId("call-1", "bob-1", "alice-1"), ours);
  assert.equal(table.find(receivedRequest("BYE", { To: "<sip:bob@example.net>;tag=bob-1" })), ours);
  assert.equal(table.find(receivedRequest("BYE", { To: "<sip:bob@example.net>;tag=bob-2" })), null);
  assert.equal(table.find(receivedRequest("BYE", { "Call-ID": "other" })), null);
});

Deno.test("only its own user takes a dialog out", () => {
  const table = new DialogTable();
  const id = dialogId("c", "l", "r");
  const second = user();
  const first = user();
  table.add(id, first);
  table.add(id, second);
  table.remove(id, first);
  assert.equal(table.size, 1);
  table.remove(id, second);
  assert.equal(table.size, 0);
});
