// Tests of lib/sip/ua/session_refresh.ts: session timer headers both ways.

import assert from "node:assert/strict";
import {
  applyTimerAnswer,
  intervalTooSmall,
  proposeTimer,
  raiseInterval,
  timerAnswerTo,
  timerOf2xx,
} from "../../../lib/sip/ua/session_refresh.ts";
import { createResponse } from "../../../lib/sip/message/message.ts";
import { receivedRequest, responseTo, sipRequest } from "../../support/sip_messages.ts";

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
