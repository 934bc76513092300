// Tests of lib/sip/ua/challenged_request.ts: retries after challenges and other refusals, and their bounds.

import assert from "node:assert/strict";
import type { SipRequest, SipResponse } from "../../../lib/sip/message/message.ts";
import type { Target } from "../../../lib/sip/message/target.ts";
import type { ClientHandle, ClientOutlets } from "../../../lib/sip/transaction/client_handle.ts";
import {
  ChallengedRequest,
  exchange,
  MAX_RETRIES,
  reasonOf,
  type RequestOutcome,
  statusOf,
} from "../../../lib/sip/ua/challenged_request.ts";
import { withNextSequence } from "../../../lib/sip/ua/outgoing_request.ts";
import { credentialsFor } from "../../support/sip_credentials.ts";
import { responseTo, sipRequest, targetAt } from "../../support/sip_messages.ts";

/** A transaction layer that keeps what it is given. */
class RecordingLayer {
  readonly sent: { request: SipRequest; targets: readonly Target[]; outlets: ClientOutlets }[] = [];
  cancels = 0;

  request(request: SipRequest, targets: readonly Target[], outlets: ClientOutlets): ClientHandle {
    this.sent.push({ request, targets, outlets });
    const target = targets.at(-1) ?? null;
    const handle: Partial<ClientHandle> = { target, cancelRequest: () => void this.cancels++ };
    return handle as ClientHandle;
  }

  /** Answers the last request. */
  answer(status: number, headers: Record<string, string> = {}): void {
    const last = this.sent.at(-1);
    assert.ok(last);
    last.outlets.response(responseTo(last.request, status, "t", headers));
  }
}

function start(
  retry?: (response: SipResponse, request: SipRequest) => SipRequest | null,
  method = "INVITE",
): { layer: RecordingLayer; request: ChallengedRequest; happened: string[] } {
  const layer = new RecordingLayer();
  const happened: string[] = [];
  const request = new ChallengedRequest({
    layer,
    request: sipRequest(method),
    targets: [targetAt("udp", 1), targetAt("udp", 2)],
    credentials: credentialsFor([targetAt("udp", 1), targetAt("udp", 2)]).credentials,
    renumber: withNextSequence,
    ...(retry === undefined ? {} : { retry }),
  }, {
    provisional: (response) => happened.push(`provisional ${response.status}`),
    success: (response, sent) => happened.push(`success ${response.status} ${sent.headers.get("CSeq")}`),
    refused: (response) => happened.push(`refused ${response.status}`),
    failed: (status, reason) => happened.push(`failed ${status} ${reason}`),
  });
  return { layer, request, happened };
}

const CHALLENGE = { "WWW-Authenticate": 'Digest realm="r", nonce="n1", qop="auth"' };

Deno.test("a challenge is answered with the next CSeq and the credentials", () => {
  const { layer, happened } = start();
  layer.answer(180);
  layer.answer(401, CHALLENGE);
  assert.equal(layer.sent.length, 2);
  const again = layer.sent[1]?.request;
  assert.equal(again?.headers.get("CSeq"), "2 INVITE");
  assert.match(again?.headers.get("Authorization") ?? "", /^Digest username="alice"/);
  layer.answer(200);
  assert.deepEqual(happened, ["provisional 180", "success 200 2 INVITE"]);
});

Deno.test("once it was accepted nothing is remembered of a request but the realm", () => {
  const layer = new RecordingLayer();
  const { credentials, digest } = credentialsFor([targetAt()]);
  const told: string[] = [];
  new ChallengedRequest({
    layer,
    request: sipRequest("REGISTER"),
    targets: [targetAt()],
    credentials,
    renumber: withNextSequence,
  }, {
    provisional: () => {},
    success: (response) => told.push(String(response.status)),
    refused: (response) => told.push(String(response.status)),
    failed: (status) => told.push(String(status)),
  });
  layer.answer(401, CHALLENGE);
  assert.equal(digest.attempts, 1);
  layer.answer(200);
  assert.deepEqual([told, digest.attempts], [["200"], 0]);
  assert.equal(credentials.reuse(layer.sent[0]!.request, [targetAt()]).length, 1);
});

Deno.test("the repetition goes first to the server that challenged", () => {
  const { layer } = start();
  layer.answer(401, CHALLENGE);
  const octets = layer.sent.map(({ targets }) =>
    targets.map((target) => target.endpoint.hostname.at(-1)).join("")
  );
  assert.deepEqual(octets, ["12", "21"]);
});

Deno.test("several realms one after the other keep all their credentials", () => {
  const { layer } = start();
  layer.answer(407, { "Proxy-Authenticate": 'Digest realm="proxy", nonce="p"' });
  layer.answer(401, CHALLENGE);
  const last = layer.sent.at(-1)?.request;
  assert.match(last?.headers.get("Proxy-Authorization") ?? "", /realm="proxy"/);
  assert.match(last?.headers.get("Authorization") ?? "", /realm="r"/);
});

Deno.test("a wrong password is not tried twice, a stale nonce is", () => {
  const wrong = start();
  wrong.layer.answer(401, CHALLENGE);
  wrong.layer.answer(401, { "WWW-Authenticate": 'Digest realm="r", nonce="n2", qop="auth"' });
  assert.deepEqual(wrong.happened, ["refused 401"]);
  const stale = start();
  stale.layer.answer(401, CHALLENGE);
  stale.layer.answer(401, { "WWW-Authenticate": 'Digest realm="r", nonce="n2", stale=true' });
  assert.equal(stale.layer.sent.length, 3);
});

Deno.test("a server that challenges for ever is given up", () => {
  const { layer, happened } = start(undefined, "REGISTER");
  for (let n = 0; n <= MAX_RETRIES + 2 && happened.length === 0; n++) {
    layer.answer(401, { "WWW-Authenticate": `Digest realm="r${n}", nonce="n"` });
  }
  assert.deepEqual(happened, ["refused 401"]);
  assert.equal(layer.sent.length, MAX_RETRIES + 1);
});

Deno.test("other refusals may be retried by the owner", () => {
  const { layer, happened } = start((response, request) =>
    response.status === 423 ? withNextSequence(request) : null
  );
  layer.answer(423);
  layer.answer(486);
  assert.equal(layer.sent.length, 2);
  assert.deepEqual(happened, ["refused 486"]);
});

Deno.test("after a cancel nothing is sent again", () => {
  const { layer, request, happened } = start();
  request.cancel();
  request.cancel();
  assert.equal(layer.cancels, 1);
  layer.answer(401, CHALLENGE);
  assert.deepEqual(happened, ["refused 401"]);
});

Deno.test("silence is 408, no way to send is 503", () => {
  const { layer, happened } = start();
  layer.sent[0]?.outlets.timeout();
  layer.sent[0]?.outlets.transportError("no route");
  assert.deepEqual(happened, ["failed 408 Request timeout", "failed 503 no route"]);
});

function begin(signal?: AbortSignal): { reply: Promise<RequestOutcome>; outlets: ClientOutlets[] } {
  const outlets: ClientOutlets[] = [];
  const layer = {
    request(_request: SipRequest, _targets: readonly Target[], given: ClientOutlets): ClientHandle {
      outlets.push(given);
      const handle: Partial<ClientHandle> = {};
      return handle as ClientHandle;
    },
  };
  const reply = exchange({
    layer,
    request: sipRequest("OPTIONS"),
    targets: [targetAt()],
    credentials: null,
    renumber: withNextSequence,
  }, signal);
  return { reply, outlets };
}

Deno.test("the final response is the outcome", async () => {
  const { reply, outlets } = begin();
  outlets[0]?.response(responseTo(sipRequest("OPTIONS"), 100));
  outlets[0]?.response(responseTo(sipRequest("OPTIONS"), 404));
  assert.equal(statusOf(await reply), 404);
  assert.equal(reasonOf(await reply), "Not Found");
});

Deno.test("a timeout and an unreachable peer are outcomes too", async () => {
  const silent = begin();
  silent.outlets[0]?.timeout();
  assert.deepEqual(await silent.reply, { type: "failed", status: 408, reason: "Request timeout" });
  const unreachable = begin();
  unreachable.outlets[0]?.transportError("no route");
  assert.equal(reasonOf(await unreachable.reply), "no route");
});

Deno.test("an abort ends the wait; nothing is sent when it came first", async () => {
  const abort = new AbortController();
  const { reply, outlets } = begin(abort.signal);
  abort.abort();
  assert.equal(statusOf(await reply), 487);
  outlets[0]?.response(responseTo(sipRequest("OPTIONS"), 200));
  const late = begin(AbortSignal.abort());
  assert.equal(late.outlets.length, 0);
  assert.equal(statusOf(await late.reply), 487);
});
