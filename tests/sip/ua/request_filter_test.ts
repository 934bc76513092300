// What is refused without a transaction, and what a flood may never take with it. The statuses themselves are in
// endpoint_test.ts.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { encodeSipMessage, type SipRequest } from "../../../lib/sip/message/message.ts";
import {
  type BadSip,
  type FilterVerdict,
  RequestFilter,
  type SipTraffic,
  UNLIMITED,
} from "../../../lib/sip/ua/request_filter.ts";
import { type HeaderChanges, receivedRequest } from "../../support/sip_messages.ts";

const SOURCE = "192.0.2.1";

/** Traffic whose limits the test sets, with what it was told. */
class ScriptedTraffic implements SipTraffic {
  readonly told: string[] = [];
  flooding = false;
  pinging = false;

  limited(): boolean {
    return this.flooding;
  }

  bad(address: string, what: BadSip): boolean {
    this.told.push(`${address}: ${what}`);
    return !this.flooding;
  }

  dropped(address: string, what: BadSip): void {
    this.told.push(`${address} unread: ${what}`);
  }

  pingsLimited(): boolean {
    return this.pinging;
  }

  ping(address: string): boolean {
    this.told.push(`${address}: ping`);
    return !this.pinging;
  }

  good(address: string): void {
    this.told.push(`${address}: good`);
  }

  take(): string[] {
    return this.told.splice(0);
  }
}

/** Bob is here; so is the call with the To tag "ours". */
function scene(pingRefusal: () => number | null = () => null) {
  const traffic = new ScriptedTraffic();
  const filter = new RequestFilter({
    agents: {
      find: ({ user }) => user === "bob" ? { type: "agent", agent: null as never } : { type: "unknown" },
    },
    dialogs: {
      find: (request) => request.headers.get("To")?.includes("ours") ? { receive: () => {} } : null,
    },
    traffic,
    tag: "stateless",
    pingRefusal,
  });
  const judge = (method: string, changes: HeaderChanges = {}, uri?: string, cancels = false): string =>
    shown(filter.judge(receivedRequest(method, changes, uri), SOURCE, cancels));
  const drops = (request: SipRequest): boolean => filter.dropsUnread(encodeSipMessage(request), SOURCE);
  return { traffic, filter, judge, drops };
}

function shown(verdict: FilterVerdict): string {
  if (typeof verdict === "string") return verdict;
  return `${verdict.status} ${verdict.headers.get("To")?.replace(/.*;tag=/, "") ?? ""}`;
}

const IN_CALL = { To: "<sip:bob@example.net>;tag=ours" };
const IN_OTHER = { To: "<sip:bob@example.net>;tag=other" };

Deno.test("filter: our users and calls pass and are good, everybody else is refused with one tag", () => {
  const { traffic, judge } = scene();
  const nobody = "sip:nobody@example.net";
  const table: [verdict: string, told: string, ...Parameters<typeof judge>][] = [
    ["pass", "good", "INVITE"],
    ["pass", "good", "BYE", IN_CALL],
    ["pass", "good", "REFER", IN_CALL],
    ["pass", "good", "INVITE", { Require: "gruu" }],
    ["pass", "good", "CANCEL", {}, nobody, true],
    ["404 stateless", "SIP requests for unknown users", "INVITE", {}, nobody],
    ["480 stateless", "SIP requests for unknown users", "MESSAGE", {}, nobody],
    ["405 stateless", "SIP requests for unknown users", "REGISTER"],
    ["501 stateless", "SIP requests for unknown users", "DANCE"],
    ["420 stateless", "SIP requests for unknown users", "INVITE", { Require: "gruu" }, nobody],
    ["481 other", "stray SIP messages (no dialog or transaction)", "BYE", IN_OTHER],
    ["481 stateless", "stray SIP messages (no dialog or transaction)", "CANCEL"],
    ["200 stateless", "ping", "OPTIONS", {}, "sip:example.net"],
  ];
  for (const [verdict, told, ...request] of table) {
    assert.equal(judge(...request), verdict, request.join(" "));
    assert.deepEqual(traffic.take(), [`${SOURCE}: ${told}`]);
  }
});

Deno.test("filter: in a flood nothing bad is answered, and nothing good is lost", () => {
  const { traffic, filter, judge, drops } = scene();
  const nobody = "sip:nobody@example.net";
  traffic.flooding = true;
  const table: [verdict: string, unread: boolean, method: string, changes: HeaderChanges, uri?: string][] = [
    ["pass", false, "INVITE", {}],
    ["pass", false, "BYE", IN_CALL],
    ["pass", false, "MESSAGE", {}],
    ["drop", true, "INVITE", {}, nobody],
    ["drop", true, "REGISTER", {}],
    ["drop", false, "BYE", IN_OTHER], // only the parser can tell which call it is of
    ["200 stateless", false, "OPTIONS", {}, "sip:example.net"],
  ];
  for (const [verdict, unread, method, changes, uri] of table) {
    assert.equal(drops(receivedRequest(method, changes, uri)), unread, `${method} ${uri}`);
    assert.equal(judge(method, changes, uri), verdict, `${method} ${uri}`);
  }
  const elsewhere = encodeSipMessage(receivedRequest("INVITE", {}, nobody));
  assert.ok(!filter.dropsUnread(elsewhere, SOURCE, (uri) => uri.user === "nobody"), "another worker's user");
  traffic.take();
  traffic.pinging = true;
  assert.ok(drops(receivedRequest("OPTIONS", {}, "sip:example.net")));
  assert.equal(judge("OPTIONS", {}, "sip:example.net"), "drop");
  assert.deepEqual(traffic.take(), [`${SOURCE} unread: OPTIONS pings`, `${SOURCE}: ping`]);
});

Deno.test("filter: rubbish is dropped unread in a flood only; responses are always read", () => {
  const { traffic, filter } = scene();
  const rubbish = encodeUtf8("GET / HTTP/1.1\r\n\r\n");
  const response = encodeUtf8(
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@h>\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n\r\n",
  );
  assert.ok(!filter.dropsUnread(rubbish, SOURCE));
  traffic.pinging = true;
  assert.ok(!filter.dropsUnread(rubbish, SOURCE), "it is no ping");
  traffic.flooding = true;
  assert.ok(filter.dropsUnread(rubbish, SOURCE));
  assert.ok(!filter.dropsUnread(response, SOURCE));
  assert.ok(!filter.malformed(SOURCE));
  assert.deepEqual(traffic.take(), [
    `${SOURCE} unread: malformed SIP messages`,
    `${SOURCE}: malformed SIP messages`,
  ]);
});

Deno.test("filter: a ping hears 503 with Retry-After while there is no room", () => {
  const { filter } = scene(() => 11);
  const verdict = filter.judge(receivedRequest("OPTIONS", {}, "sip:example.net"), SOURCE, false);
  assert.ok(typeof verdict === "object");
  assert.deepEqual([verdict.status, verdict.headers.get("Retry-After")], [503, "11"]);
});

Deno.test("filter: without counting everything is answered", () => {
  assert.deepEqual([
    UNLIMITED.limited(SOURCE),
    UNLIMITED.bad(SOURCE, "OPTIONS pings"),
    UNLIMITED.ping(SOURCE),
  ], [
    false,
    true,
    true,
  ]);
});
