// Tests of lib/sip/ua/registration.ts: a registrar that does what the test says.

import fc from "fast-check";
import assert from "node:assert/strict";
import { textBody } from "../../../lib/sip/message/body.ts";
import type { SipRequest } from "../../../lib/sip/message/message.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import type { SipEndpoint } from "../../../lib/sip/ua/endpoint.ts";
import {
  FIRST_REFUSED_RETRY_MS,
  FIRST_RETRY_MS,
  grantedExpires,
  MAX_EXPIRES_SECONDS,
  MAX_REFUSED_RETRY_MS,
  MAX_RETRY_MS,
  MIN_REFRESH_MS,
  needsHuman,
  refreshDelayMs,
  retryDelayMs,
} from "../../../lib/sip/ua/registration.ts";
import type { RegistrationChange, UserAgent } from "../../../lib/sip/ua/user_agent.ts";
import { responseTo, sipRequest } from "../../support/sip_messages.ts";
import { collect, identity, type ScriptedPeer, SipNetwork } from "../../support/sip_network.ts";

interface Scene {
  network: SipNetwork;
  endpoint: SipEndpoint;
  alice: UserAgent;
  registrar: ScriptedPeer;
  changes: RegistrationChange[];
}

function scene(): Scene {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.9", "secret"));
  return {
    network,
    endpoint,
    alice,
    registrar: network.peer("10.0.0.9"),
    changes: collect(alice.registrations()),
  };
}

const forever = (): AbortSignal => new AbortController().signal;

function keep(registrar: ScriptedPeer, request: SipRequest, expires: string): void {
  const contact = (request.headers.get("Contact") ?? "").replace(/;expires=\d+/, `;expires=${expires}`);
  registrar.answer(request, 200, { headers: { Contact: contact } });
}

async function registered(set: Scene, expires = "180"): Promise<SipRequest> {
  const outcome = set.alice.register(forever());
  const request = await set.registrar.request("REGISTER");
  keep(set.registrar, request, expires);
  assert.deepEqual(await set.network.settled(outcome), {
    type: "registered",
    expiresSeconds: Number(expires),
  });
  return request;
}

async function close(set: Scene): Promise<void> {
  const closing = set.network.close(set.endpoint);
  const goodbye = await set.registrar.request("REGISTER");
  assert.equal(goodbye.headers.get("Expires"), "0");
  set.registrar.answer(goodbye, 200);
  await closing;
  await set.network.clock.advanceAsync(100);
  assert.equal(set.network.clock.pending, 0);
}

Deno.test("a REGISTER names the domain, the user and where we are; the goodbye takes it back", async () => {
  const set = scene();
  const request = await registered(set);
  assert.equal(request.uri.user, null);
  assert.equal(request.headers.get("To"), "<sip:alice@10.0.0.9>");
  assert.equal(request.headers.get("Expires"), "180");
  assert.match(request.headers.get("Contact") ?? "", /^<sip:alice@10\.0\.0\.1:5060;line=\w+>;expires=180$/);
  const closing = set.network.close(set.endpoint);
  const goodbye = await set.registrar.request("REGISTER");
  assert.equal(goodbye.headers.get("Call-ID"), request.headers.get("Call-ID"));
  assert.match(goodbye.headers.get("Contact") ?? "", /;expires=0$/);
  set.registrar.answer(goodbye, 200);
  await closing;
  assert.deepEqual(set.changes, []);
});

Deno.test("a challenge is answered, and later requests bring the credentials along", async () => {
  const set = scene();
  const outcome = set.alice.register(forever());
  const first = await set.registrar.request("REGISTER");
  const challenge = { "WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256' };
  set.registrar.answer(first, 401, { headers: challenge });
  const second = await set.registrar.request("REGISTER");
  assert.equal(second.headers.get("CSeq"), "2 REGISTER");
  assert.match(second.headers.get("Authorization") ?? "", /nc=00000001/);
  keep(set.registrar, second, "60");
  assert.equal((await set.network.settled(outcome)).type, "registered");
  const refresh = await set.registrar.request("REGISTER", 60_000);
  assert.equal(refresh.headers.get("CSeq"), "3 REGISTER");
  assert.match(refresh.headers.get("Authorization") ?? "", /nc=00000002/);
  keep(set.registrar, refresh, "60");
  await close(set);
});

Deno.test("refreshes come before the granted expiry, again and again", async () => {
  const set = scene();
  await registered(set, "60");
  for (let n = 0; n < 3; n++) {
    const fromMs = set.network.clock.now();
    const refresh = await set.registrar.request("REGISTER", 60_000);
    assert.ok(set.network.clock.now() - fromMs < 60_000);
    keep(set.registrar, refresh, "60");
  }
  await set.network.clock.advanceAsync(50);
  assert.deepEqual(set.changes, []);
  await close(set);
});

Deno.test("423 makes us ask for longer", async () => {
  const set = scene();
  const outcome = set.alice.register(forever());
  set.registrar.answer(await set.registrar.request("REGISTER"), 423, { headers: { "Min-Expires": "600" } });
  const again = await set.registrar.request("REGISTER");
  assert.equal(again.headers.get("Expires"), "600");
  assert.match(again.headers.get("Contact") ?? "", /;expires=600$/);
  keep(set.registrar, again, "600");
  assert.deepEqual(await set.network.settled(outcome), { type: "registered", expiresSeconds: 600 });
  await close(set);
});

Deno.test("a refusal is told with the registrar's words and nothing is kept up", async () => {
  const set = scene();
  const outcome = set.alice.register(forever());
  set.registrar.answer(await set.registrar.request("REGISTER"), 403, { reason: "No Such User" });
  assert.deepEqual(await set.network.settled(outcome), {
    type: "refused",
    status: 403,
    reason: "No Such User",
  });
  await set.network.close(set.endpoint);
  assert.equal(set.network.wire.filter((line) => line.endsWith("REGISTER")).length, 1);
});

Deno.test("a wrong password is tried once", async () => {
  const set = scene();
  const outcome = set.alice.register(forever());
  for (let n = 0; n < 2; n++) {
    const headers = { "WWW-Authenticate": `Digest realm="r", nonce="n${n}", qop="auth"` };
    set.registrar.answer(await set.registrar.request("REGISTER"), 401, { headers });
  }
  const settled = await set.network.settled(outcome);
  assert.ok(settled.type === "refused" && settled.status === 401);
  await set.network.close(set.endpoint);
});

Deno.test("a registrar that keeps nothing, and one that is silent, are refusals", async () => {
  const empty = scene();
  const outcome = empty.alice.register(forever());
  keep(empty.registrar, await empty.registrar.request("REGISTER"), "0");
  assert.equal((await empty.network.settled(outcome)).type, "refused");
  await empty.network.close(empty.endpoint);
  const silent = scene();
  const settled = await silent.network.settled(silent.alice.register(forever()));
  assert.deepEqual(settled, { type: "refused", status: 408, reason: "Request timeout" });
  await silent.network.close(silent.endpoint);
});

Deno.test("a loss is told once, retried with growing waits, and so is the recovery", async () => {
  const set = scene();
  await registered(set, "60");
  const attempts: number[] = [];
  for (let n = 0; n < 5; n++) {
    const request = await set.registrar.request("REGISTER", 120_000);
    attempts.push(set.network.clock.now());
    set.registrar.answer(request, 503);
  }
  const waits = attempts.slice(1).map((at, index) => at - (attempts[index] ?? 0));
  for (const [index, waitMs] of waits.entries()) {
    assert.ok(waitMs >= 1_000 * 2 ** index - 50 && waitMs <= 2_000 * 2 ** index + 50, `${waits}`);
  }
  keep(set.registrar, await set.registrar.request("REGISTER", 120_000), "60");
  await set.network.until("the recovery", () => set.changes.length === 2);
  const [lost, ...rest] = set.changes;
  assert.ok(lost?.type === "lost" && lost.retryMs !== undefined);
  assert.ok(lost.retryMs >= 1_000 && lost.retryMs <= 2_000);
  assert.deepEqual([{ ...lost, retryMs: 0 }, ...rest], [
    { type: "lost", status: 503, reason: "Service Unavailable", retryMs: 0 },
    { type: "registered", expiresSeconds: 60 },
  ]);
  await close(set);
});

Deno.test("a refused refresh is not repeated before half a minute, and Retry-After counts", async () => {
  const set = scene();
  await registered(set, "60");
  set.registrar.answer(await set.registrar.request("REGISTER", 60_000), 403);
  let fromMs = set.network.clock.now();
  const second = await set.registrar.request("REGISTER", 61_000);
  assert.ok(set.network.clock.now() - fromMs >= 29_000);
  set.registrar.answer(second, 500, { headers: { "Retry-After": "100" } });
  fromMs = set.network.clock.now();
  keep(set.registrar, await set.registrar.request("REGISTER", 101_000), "60");
  assert.ok(set.network.clock.now() - fromMs >= 99_000);
  await close(set);
});

Deno.test("a broken connection to the registrar is followed by a REGISTER soon, once", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.9;transport=tcp"));
  const registrar = network.peer("10.0.0.9");
  const outcome = alice.register(forever());
  keep(registrar, await registrar.request("REGISTER"), "600");
  await network.settled(outcome);
  alice.connectionLost({ hostname: "10.0.0.77", port: 5060 });
  await network.clock.advanceAsync(5_000);
  assert.equal(registrar.received.length, 0);
  for (let n = 0; n < 3; n++) alice.connectionLost(registrar.at);
  const again = await registrar.request("REGISTER", 2_100);
  keep(registrar, again, "600");
  await network.clock.advanceAsync(60_000);
  assert.equal(registrar.received.length, 0);
  registrar.onMessage = (message) => {
    if (message.kind === "request") registrar.answer(message, 200);
    return true;
  };
  await network.close(endpoint);
});

Deno.test("a client that leaves while its REGISTER is under way is unregistered all the same", async () => {
  const set = scene();
  const abort = new AbortController();
  const outcome = set.alice.register(abort.signal);
  const request = await set.registrar.request("REGISTER");
  abort.abort();
  assert.equal((await set.network.settled(outcome)).type, "refused");
  keep(set.registrar, request, "180");
  await close(set);
});

Deno.test("a dead registrar delays the end by 2 s at most", async () => {
  const set = scene();
  await registered(set);
  set.network.options.loss = 1;
  const fromMs = set.network.clock.now();
  await set.network.close(set.alice);
  assert.ok(set.network.clock.now() - fromMs <= 2_010);
  await set.network.close(set.endpoint);
});

Deno.test("a registrar that does not resolve is a 503", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@nowhere.example", "pw"));
  const outcome = await network.settled(alice.register(forever()));
  assert.ok(outcome.type === "refused" && outcome.status === 503);
  await network.close(endpoint);
});

Deno.test("of two servers the first is down: refreshes, calls and the goodbye go straight to the other", async () => {
  const network = new SipNetwork();
  network.names.set("pbx.example", ["10.0.0.8", "10.0.0.9"]);
  const registrar = network.peer("10.0.0.9");
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@pbx.example", "secret"));
  const changes = collect(alice.registrations());
  const outcome = alice.register(forever());
  keep(registrar, await registrar.request("REGISTER"), "60");
  assert.equal((await network.settled(outcome)).type, "registered");
  assert.ok(network.clock.now() >= 4_000 && network.clock.now() < 6_000, "the first server was waited for");
  const before = network.wire.length;
  const asked = alice.request("MESSAGE", parseNameAddr("sip:bob@pbx.example"), textBody("hi"), forever());
  registrar.answer(await registrar.request("MESSAGE"), 200);
  assert.equal((await network.settled(asked)).status, 200);
  keep(registrar, await registrar.request("REGISTER", 60_000), "60");
  const closing = network.close(endpoint);
  const goodbye = await registrar.request("REGISTER");
  assert.equal(goodbye.headers.get("Expires"), "0");
  registrar.answer(goodbye, 200);
  await closing;
  const strays = network.wire.slice(before).filter((line) => line.includes("> 10.0.0.8"));
  assert.deepEqual([strays, changes], [[], []]);
});

/** What a registrar says to "too brief", and what is asked for next; null: the refusal stands. */
const TOO_BRIEF: [minExpires: string | null, next: string | null][] = [
  ["600", "600"],
  ["600;x=y", "600"],
  [null, "3600"],
  ["soon", "3600"],
  ["60", null],
  ["180", null],
  ["4294967295", null],
];

for (const [minExpires, next] of TOO_BRIEF) {
  Deno.test(`423 with Min-Expires ${minExpires ?? "left out"}: ${next ?? "it stands"}`, async () => {
    const set = scene();
    const outcome = set.alice.register(forever());
    const headers = minExpires === null ? {} : { "Min-Expires": minExpires };
    set.registrar.answer(await set.registrar.request("REGISTER"), 423, { headers });
    if (next !== null) {
      const again = await set.registrar.request("REGISTER");
      assert.equal(again.headers.get("Expires"), next);
      assert.match(again.headers.get("Contact") ?? "", new RegExp(`;expires=${next}$`));
      keep(set.registrar, again, next);
      assert.equal((await set.network.settled(outcome)).type, "registered");
      return await close(set);
    }
    const refused = await set.network.settled(outcome);
    assert.equal(refused.type === "refused" && refused.status, 423);
    await set.network.close(set.endpoint);
  });
}

Deno.test("a registrar that lists our Contact as it sees it is asked again within what it granted", async () => {
  const set = scene();
  const outcome = set.alice.register(forever());
  const rewritten = { Contact: "<sip:alice@198.51.100.7:60210;transport=udp>;expires=20" };
  set.registrar.answer(await set.registrar.request("REGISTER"), 200, { headers: rewritten });
  assert.deepEqual(await set.network.settled(outcome), { type: "registered", expiresSeconds: 20 });
  const before = set.network.clock.now();
  set.registrar.answer(await set.registrar.request("REGISTER"), 200, { headers: rewritten });
  assert.ok(set.network.clock.now() - before < 20_000);
  await close(set);
});

const OURS = parseNameAddr("<sip:a@10.0.0.1:5060;line=mine>").uri;

/** What a 200 lists, and the seconds for which we are kept; 180 were asked for. */
const GRANTS: [name: string, headers: Record<string, string | string[]>, seconds: number][] = [
  ["our own beside another's", {
    Contact: ["<sip:a@1.1.1.1;line=other>;expires=9", "<sip:a@10.0.0.1:5060;line=mine>;expires=60"],
    Expires: "300",
  }, 60],
  ["our own without an expiry: that of the header", {
    Contact: "<sip:a@10.0.0.1:5060;line=mine>",
    Expires: "300",
  }, 300],
  ["our own and nothing said: what was asked for", { Contact: "<sip:a@10.0.0.1:5060;line=mine>" }, 180],
  ["our own, taken away", { Contact: "<sip:a@10.0.0.1;line=mine>;expires=0", Expires: "300" }, 0],
  ["another's live on, ours is taken away", {
    Contact: ["<sip:a@10.0.0.1;line=mine>;expires=0", "<sip:a@1.1.1.1>;expires=60"],
  }, 0],
  ["nothing", {}, 180],
  ["the header alone", { Expires: "20" }, 20],
  ["rewritten: one Contact", { Contact: "<sip:a@198.51.100.7:60210;transport=udp>;expires=20" }, 20],
  ["rewritten without a user", { Contact: "<sip:198.51.100.7:60210>;expires=20" }, 20],
  ["rewritten with another user", { Contact: "<sip:a-17f@198.51.100.7>;expires=20" }, 20],
  ["rewritten, beside an expired one", {
    Contact: ["<sip:a@198.51.100.7:60210>;expires=20", "<sip:a@198.51.100.9:40110>;expires=0"],
  }, 20],
  ["rewritten, beside another that ends first", {
    Contact: ["<sip:a@198.51.100.7>;expires=50", "<sip:a@198.51.100.9>;expires=40"],
  }, 40],
  ["our user's, not those of others", {
    Contact: ["<sip:a@198.51.100.7>;expires=50", "<sip:b@198.51.100.9>;expires=40"],
  }, 50],
  ["our address, without our line", {
    Contact: ["<sip:a@10.0.0.1:5060>;expires=70", "<sip:a@198.51.100.9>;expires=40"],
  }, 70],
  ["rewritten, and the expiry in the header", { Contact: "<sip:a@198.51.100.7>", Expires: "20" }, 20],
  ["a Contact that cannot be read, but its expiry can", { Contact: "<sip:a@198.51.100.7;expires=20" }, 20],
  ["a Contact that cannot be read, and the header", { Contact: "<broken", Expires: "20" }, 20],
  ["all taken away", { Contact: ["<sip:x@1.1.1.1>;expires=0", "<sip:y@1.1.1.2>;expires=0"] }, 0],
  ["an expiry in quotes", { Contact: '<sip:a@198.51.100.7>;expires="20"' }, 20],
  ["an expiry that is none", { Contact: "<sip:a@198.51.100.7>;expires=soon", Expires: "20" }, 20],
  ["for ever counts as not said", { Contact: "<sip:a@198.51.100.7>;expires=4294967295" }, 180],
  ["for ever by the header", { Expires: "4294967296" }, 180],
  ["longer than asked for", { Contact: "<sip:a@198.51.100.7>;expires=3600" }, 3600],
  ["a second", { Contact: "<sip:a@198.51.100.7>;expires=1" }, 1],
];

for (const [name, headers, seconds] of GRANTS) {
  Deno.test(`granted: ${name}: ${seconds} s`, () => {
    const response = responseTo(sipRequest("REGISTER"), 200, "t", { Contact: null, ...headers });
    assert.equal(grantedExpires(response, OURS, 180), seconds);
  });
}

Deno.test("a refresh comes before the expiry, with time for a second try where there is any", () => {
  assert.equal(refreshDelayMs(180), 162_000);
  assert.equal(refreshDelayMs(3600), 3_565_000);
  assert.equal(refreshDelayMs(10), 9_000);
  assert.equal(refreshDelayMs(2), 1_000);
  assert.equal(refreshDelayMs(1), MIN_REFRESH_MS); // no registrar makes us ask it all the time
  fc.assert(fc.property(fc.integer({ min: 2, max: MAX_EXPIRES_SECONDS }), (seconds) => {
    const waitMs = refreshDelayMs(seconds);
    assert.ok(waitMs >= MIN_REFRESH_MS && waitMs < seconds * 1000);
  }));
});

Deno.test("waits double up to a ceiling, spread by the jitter", () => {
  const wait = (failures: number, jitter: number) =>
    retryDelayMs({ failures, status: 408, retryAfterSeconds: null, jitter });
  assert.equal(wait(1, 0), FIRST_RETRY_MS / 2);
  assert.equal(wait(2, 0), FIRST_RETRY_MS);
  assert.equal(wait(4, 0), FIRST_RETRY_MS * 4);
  assert.equal(wait(40, 0.999999), MAX_RETRY_MS);
});

Deno.test("refusals that need a human are retried seldom, and Retry-After is obeyed", () => {
  assert.equal(needsHuman(403), true);
  assert.equal(needsHuman(503), false);
  const wait = (status: number, failures: number, retryAfterSeconds: number | null) =>
    retryDelayMs({ failures, status, retryAfterSeconds, jitter: 0 });
  assert.equal(wait(401, 1, null), FIRST_REFUSED_RETRY_MS / 2);
  assert.equal(wait(403, 50, null), MAX_REFUSED_RETRY_MS / 2);
  assert.equal(wait(503, 1, 30), 30_000);
  assert.equal(wait(503, 1, 999_999), 3_600_000);
});
