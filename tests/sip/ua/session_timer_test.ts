// Tests of lib/sip/ua/session_timer.ts: header values both ways, the RFC 4028 section 9 table, and the two timers.

import assert from "node:assert/strict";
import { parseSessionExpires } from "../../../lib/sip/message/header_values.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import { createResponse, NO_BODY, type SipResponse } from "../../../lib/sip/message/message.ts";
import {
  answerSessionTimer,
  applyTimerAnswer,
  intervalTooSmall,
  MAX_SESSION_INTERVAL_SECONDS,
  minSeOf,
  proposeTimer,
  raiseInterval,
  readSessionTimer,
  sessionExpiresOf,
  SessionTimer,
  timerAnswerTo,
  timerOf2xx,
} from "../../../lib/sip/ua/session_timer.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { receivedRequest, responseTo, sipRequest } from "../../support/sip_messages.ts";

function message(headers: readonly (readonly [string, string])[]): SipResponse {
  return { kind: "response", status: 200, reason: "OK", headers: new SipHeaders(headers), body: NO_BODY };
}

Deno.test("Session-Expires and Min-SE are read tolerantly and bounded", () => {
  const expires = (text: string) => sessionExpiresOf(message([["Session-Expires", text]]));
  assert.deepEqual(expires("1800"), { seconds: 1800, refresher: null });
  assert.deepEqual(expires("600;x=y;Refresher=UAS"), { seconds: 600, refresher: "uas" });
  assert.deepEqual(expires("600;refresher=both"), { seconds: 600, refresher: null });
  assert.equal(expires("99999999999")?.seconds, MAX_SESSION_INTERVAL_SECONDS);
  for (const bad of ["", "-1", "1e3", "abc"]) assert.equal(expires(bad), null);
  assert.equal(sessionExpiresOf(message([])), null);
  assert.deepEqual(sessionExpiresOf(message([["x", "90"]])), { seconds: 90, refresher: null });
  assert.equal(minSeOf(message([["Min-SE", "120;lr"]])), 120);
  assert.equal(minSeOf(message([["Min-SE", "x"]])), null);
  assert.equal(minSeOf(message([])), null);
});

Deno.test("a UAS answers the wishes of RFC 4028 section 9", () => {
  const wish = (text: string | null, minSe: number | null, supported: boolean) =>
    answerSessionTimer({
      sessionExpires: text === null ? null : parseSessionExpires(text),
      minSe,
      supported,
    });
  assert.deepEqual(wish(null, null, false), { type: "off" });
  assert.deepEqual(wish(null, null, true), { type: "on", seconds: 1800, refresher: "uas", require: false });
  assert.deepEqual(wish(null, 3600, true), { type: "on", seconds: 3600, refresher: "uas", require: false });
  assert.deepEqual(wish("60", null, true), { type: "too-small", minSeconds: 90 });
  assert.deepEqual(wish("60", null, false), { type: "on", seconds: 90, refresher: "uas", require: false });
  assert.deepEqual(wish("600", null, true), { type: "on", seconds: 600, refresher: "uac", require: true });
  assert.deepEqual(wish("600;refresher=uas", null, true), {
    type: "on",
    seconds: 600,
    refresher: "uas",
    require: false,
  });
  assert.deepEqual(wish("600;refresher=uac", null, false), {
    type: "on",
    seconds: 600,
    refresher: "uas",
    require: false,
  });
  assert.deepEqual(wish("7200", 3600, true), { type: "on", seconds: 3600, refresher: "uac", require: true });
});

Deno.test("a UAC reads the agreement of a 2xx", () => {
  assert.deepEqual(readSessionTimer(null), { type: "off" });
  assert.deepEqual(readSessionTimer({ seconds: 600, refresher: null }), {
    type: "on",
    seconds: 600,
    refresher: "uac",
  });
  assert.deepEqual(readSessionTimer({ seconds: 10, refresher: "uas" }), {
    type: "on",
    seconds: 90,
    refresher: "uas",
  });
});

function watched(): { clock: FakeClock; timer: SessionTimer; happened: string[] } {
  const clock = new FakeClock();
  const happened: string[] = [];
  const timer = new SessionTimer(clock, {
    refresh: () => happened.push(`refresh at ${clock.now()}`),
    expired: () => happened.push(`expired at ${clock.now()}`),
  });
  return { clock, timer, happened };
}

Deno.test("the refresher is told at half time, and the call ends 32 s before the interval", () => {
  const { clock, timer, happened } = watched();
  const from = clock.now();
  timer.start(1800, true);
  clock.advance(2_000_000);
  assert.deepEqual(happened, [`refresh at ${from + 900_000}`, `expired at ${from + 1_768_000}`]);
  assert.equal(timer.running, false);
  assert.equal(clock.pending, 0);
});

Deno.test("the party that does not refresh only watches; a third of a short interval is the margin", () => {
  const { clock, timer, happened } = watched();
  const from = clock.now();
  timer.start(90, false);
  clock.advance(59_999);
  assert.deepEqual(happened, []);
  clock.advance(2);
  assert.deepEqual(happened, [`expired at ${from + 60_000}`]);
});

Deno.test("a refresh starts the interval again and dispose leaves no timer", () => {
  const { clock, timer, happened } = watched();
  timer.start(100, false);
  clock.advance(60_000);
  timer.start(100, false);
  clock.advance(60_000);
  assert.deepEqual(happened, []);
  timer[Symbol.dispose]();
  assert.equal(clock.pending, 0);
  clock.advance(1_000_000);
  assert.deepEqual(happened, []);
});

Deno.test("our 2xx says who refreshes and requires the timer of a refreshing caller", () => {
  const request = receivedRequest("INVITE", { Supported: "timer", "Session-Expires": "600" });
  const response = createResponse(request, 200);
  assert.deepEqual(applyTimerAnswer(response, timerAnswerTo(request)), { seconds: 600, weRefresh: false });
  assert.equal(response.headers.get("Session-Expires"), "600;refresher=uac");
  assert.equal(response.headers.get("Require"), "timer");
});

Deno.test("without the caller's support we refresh ourselves; without any wish there is no timer", () => {
  const request = receivedRequest("INVITE", { "Session-Expires": "600;refresher=uac" });
  const response = createResponse(request, 200);
  assert.deepEqual(applyTimerAnswer(response, timerAnswerTo(request)), { seconds: 600, weRefresh: true });
  assert.equal(response.headers.has("Require"), false);
  const plain = receivedRequest("INVITE");
  const answer = createResponse(plain, 200);
  assert.equal(applyTimerAnswer(answer, timerAnswerTo(plain)), null);
  assert.equal(answer.headers.has("Session-Expires"), false);
});

Deno.test("too small an interval is refused with the least one", () => {
  const request = receivedRequest("INVITE", { Supported: "timer", "Session-Expires": "30" });
  const answer = timerAnswerTo(request);
  assert.deepEqual(answer, { type: "too-small", minSeconds: 90 });
  assert.equal(intervalTooSmall(request, 90).headers.get("Min-SE"), "90");
});

Deno.test("our requests propose the usual interval first and keep the agreement later", () => {
  const invite = sipRequest("INVITE");
  proposeTimer(invite, null);
  assert.equal(invite.headers.get("Session-Expires"), "1800");
  assert.equal(invite.headers.get("Min-SE"), "90");
  proposeTimer(invite, { seconds: 300, weRefresh: true });
  assert.equal(invite.headers.get("Session-Expires"), "300;refresher=uac");
  proposeTimer(invite, { seconds: 300, weRefresh: false });
  assert.equal(invite.headers.get("Session-Expires"), "300;refresher=uas");
});

Deno.test("the 2xx to our request settles the timer", () => {
  const invite = sipRequest("INVITE");
  assert.equal(timerOf2xx(responseTo(invite, 200)), null);
  const agreed = responseTo(invite, 200, "t", { "Session-Expires": "600;refresher=uas" });
  assert.deepEqual(timerOf2xx(agreed), { seconds: 600, weRefresh: false });
});

Deno.test("a 422 raises the interval once", () => {
  const invite = sipRequest("INVITE");
  proposeTimer(invite, null);
  const refusal = responseTo(invite, 422, "t", { "Min-SE": "3600" });
  assert.equal(raiseInterval(refusal, invite), true);
  assert.equal(invite.headers.get("Session-Expires"), "3600");
  assert.equal(raiseInterval(refusal, invite), false);
  assert.equal(raiseInterval(responseTo(invite, 486), invite), false);
});
