// Tests of lib/sip/ua/offer_state.ts: one offer at a time, and who is told when the turn is free.

import assert from "node:assert/strict";
import { OfferState } from "../../../lib/sip/ua/offer_state.ts";

function state(weOffer: boolean): OfferState {
  return new OfferState({ localBody: null, remoteBody: null, weOffer });
}

Deno.test("a call starts with the offer of its INVITE under way", () => {
  assert.deepEqual([state(true).offering, state(true).answering], [true, false]);
  assert.deepEqual([state(false).offering, state(false).answering], [false, true]);
});

Deno.test("nobody offers while an offer is open on either side", () => {
  const ours = state(true);
  assert.equal(ours.beginOffering(), false);
  ours.endOffering();
  ours.beginAnswering();
  assert.equal(ours.beginOffering(), false);
  ours.endAnswering();
  assert.equal(ours.beginOffering(), true);
  assert.equal(ours.beginOffering(), false);
});

Deno.test("those who wait are called once, when both sides are idle", () => {
  const turns = state(false);
  const called: string[] = [];
  turns.onIdle(() => called.push("first"));
  const second = turns.onIdle(() => called.push("second"));
  turns.onIdle(() => called.push("third"));
  second[Symbol.dispose]();
  turns.endOffering();
  assert.deepEqual(called, []);
  turns.endAnswering();
  assert.deepEqual(called, ["first", "third"]);
  turns.endAnswering();
  assert.deepEqual(called, ["first", "third"]);
});
