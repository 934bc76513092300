import assert from "node:assert/strict";
import type { Decision, DialTarget } from "../../lib/gateway/access/target_policy.ts";
import { dial } from "../../lib/call/dial.ts";
import { type CallState, IDLE } from "../../lib/call/leg.ts";
import { formatSipUri, parseSipUri } from "../../lib/sip/message/uri.ts";
import type { OfferEvent } from "../../lib/sip/ua/call.ts";
import type { InviteProgress } from "../../lib/sip/ua/user_agent.ts";
import { settle } from "../support/fake_clock.ts";
import {
  registeredCall,
  ScriptedAgent,
  ScriptedCall,
  ScriptedInvitation,
  ScriptedOwner,
} from "../support/gateway_fakes.ts";
import { sdp, sdpText } from "../support/sip_network.ts";

type Refused = Extract<InviteProgress, { type: "refused" }>;

function refused(status: number, reason: string, warning: string | null = null): Refused {
  return { type: "refused", status, reason, warning };
}

function progress(status: number, reason: string, body: string | null = null): InviteProgress {
  return { type: "progress", status, reason, body: body === null ? null : sdp(body) };
}

/** Dials and gives the INVITE that left. */
async function dialled(owner: ScriptedOwner, destination = "bob@10.0.0.2", codecs: string[] = []) {
  dial(owner, destination, codecs);
  await settle();
  const invite = owner.agent.invites.at(-1);
  assert.ok(invite, "no INVITE left");
  return invite;
}

Deno.test("180 and 183 become ringing, other provisional answers do not", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  invite.steps.push(progress(181, "Call Is Being Forwarded"));
  invite.steps.push(progress(180, "Ringing"));
  invite.steps.push(progress(182, "Queued"));
  invite.steps.push(progress(183, "Session Progress"));
  await settle();
  assert.deepEqual(owner.link.take(), ['ringing("180 Ringing")', 'ringing("183 Session Progress")']);
  invite.steps.push(refused(486, "Busy Here"));
  await settle();
  assert.deepEqual(owner.link.take(), ['rejected("486 Busy Here")']);
});

const REASONS: [outcome: Refused, told: string][] = [
  [refused(486, "Busy Here"), "486 Busy Here"],
  [refused(302, "Moved"), "302 Moved"],
  [refused(404, "Nicht gefunden"), "404 Nicht gefunden"],
  [refused(408, "Request Timeout"), "408 Request timeout"],
  [refused(487, "Request Terminated"), "487 Request Terminated"],
  [refused(503, "no address found for sip:x"), "503 no address found for sip:x"],
  [refused(603, "Decline"), "603 Decline"],
];

for (const [outcome, told] of REASONS) {
  Deno.test(`an INVITE refused with ${outcome.status} is rejected as "${told}", and nothing stays open`, async () => {
    await using owner = new ScriptedOwner();
    const invite = await dialled(owner);
    invite.steps.push(outcome);
    await settle();
    assert.deepEqual(owner.link.take(), [`rejected(${JSON.stringify(told)})`]);
    assert.equal(owner.state.type, "idle");
    assert.equal(owner.factory.openCount, 0);
    assert.equal(owner.scope.size, 0);
  });
}

const TOLD: [outcome: Refused, password: string | null, words: string][] = [
  [refused(404, "Not Found"), null, "404 Not Found"],
  [refused(407, "Proxy Authentication Required"), null, "authentication required, no password given"],
  [refused(401, "Unauthorized"), "secret", "user name or password rejected, or not for this realm"],
];

for (const [outcome, password, words] of TOLD) {
  Deno.test(`the log says who is called, where, and once why that failed: ${words}`, async () => {
    await using owner = new ScriptedOwner(new ScriptedAgent("sip:alice@example.com", password));
    const invite = await dialled(owner);
    invite.steps.push(outcome);
    await settle();
    const [calling, failed, ...more] = owner.log.at("info");
    assert.match(calling ?? "", /INVITE bob@10\.0\.0\.2 via udp \S+:\d+$/);
    assert.match(failed ?? "", /call to bob@10\.0\.0\.2 failed: 40\d/);
    assert.ok(failed?.endsWith(words), failed);
    assert.deepEqual(more, []);
    assert.doesNotMatch(owner.log.lines.join(), /secret/);
  });
}

Deno.test("an attempt that the client has given up did not fail", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  owner.hangUp();
  invite.steps.push(refused(487, "Request Terminated"));
  await settle();
  assert.equal(owner.log.at("info").length, 1, owner.log.lines.join());
});

Deno.test("the Warning of a refusal is in the log", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  invite.steps.push(refused(488, "Not Acceptable Here", "only G.729 here"));
  await settle();
  assert.ok(owner.log.at("info").some((line) => line.includes("only G.729 here")));
});

for (const destination of ["<sip:bob@x", "mailto:bob@example.com", "sip:", "   "]) {
  Deno.test(`a destination like ${JSON.stringify(destination)} is an invalid dest URI`, async () => {
    await using owner = new ScriptedOwner();
    dial(owner, destination, []);
    await settle();
    assert.deepEqual(owner.link.take(), ['rejected("invalid dest URI")']);
    assert.deepEqual([owner.state.type, owner.agent.invites.length], ["idle", 0]);
  });
}

const DESTINATIONS: [aor: string, typed: string, dialled: string][] = [
  ["sip:alice@example.com", '"Bob B" <sip:bob@h.example>', "bob@h.example"],
  ["sip:alice@example.com", "sip:bob@h.example:5070", "bob@h.example:5070"],
  ["sip:alice@example.com", "bob@h.example", "bob@h.example"],
  ["sip:alice@example.com", "7140", "7140@example.com"],
  ["sip:alice@example.com", "tel:+1-201-555-0123", "+12015550123@example.com"],
  ["sip:alice@10.0.0.9:5080", "echo", "echo@10.0.0.9:5080"],
  ["sip:alice@[2001:db8::9]:5080", "echo", "echo@2001:db8::9:5080"],
];

for (const [aor, typed, expected] of DESTINATIONS) {
  Deno.test(`${typed} dialled by ${aor} goes to ${expected}`, async () => {
    await using owner = new ScriptedOwner(new ScriptedAgent(aor));
    const { to } = await dialled(owner, typed);
    const port = to.uri.port === null ? "" : `:${to.uri.port}`;
    assert.equal(`${to.uri.user}@${to.uri.host}${port}`, expected);
    owner.agent.invites[0]!.steps.push(refused(404, "Not Found"));
    await settle();
  });
}

const BUSY: CallState[] = [
  { type: "dialing", attempt: new AbortController(), registered: registeredCall() },
  { type: "alerting", invitation: new ScriptedInvitation(), registered: registeredCall() },
  { type: "answering", invitation: new ScriptedInvitation(), registered: registeredCall() },
];

for (const line of BUSY) {
  Deno.test(`a second invite while ${line.type} is rejected and leaves the first alone`, async () => {
    await using owner = new ScriptedOwner();
    owner.become(line);
    dial(owner, "bob@10.0.0.2", []);
    await settle();
    assert.deepEqual(owner.link.take(), ['rejected("Already in an active or pending call")']);
    assert.equal(owner.state, line);
    assert.equal(owner.agent.invites.length, 0);
  });
}

Deno.test("no way to the destination is rejected with 503 and opens no media", async () => {
  await using owner = new ScriptedOwner();
  owner.agent.routeOutcome = Promise.resolve({ type: "unreachable", reason: "no address found for sip:x" });
  dial(owner, "bob@nowhere.invalid", []);
  await settle();
  assert.deepEqual(owner.link.take(), ['rejected("503 no address found for sip:x")']);
  assert.deepEqual([owner.state.type, owner.factory.asked], ["idle", []]);
});

Deno.test("a codec list with nothing usable is rejected with 488 before anything is sent", async () => {
  await using owner = new ScriptedOwner();
  owner.factory.refusal = { type: "none", reason: "none of these codecs can be used: g729" };
  dial(owner, "bob@10.0.0.2", ["g729"]);
  await settle();
  assert.deepEqual(owner.link.take(), ['rejected("488 Not Acceptable Here")']);
  assert.deepEqual([owner.state.type, owner.agent.invites.length], ["idle", 0]);
  assert.ok(owner.log.at("warn").some((line) => line.includes("g729")));
});

Deno.test("no room for a call is 503 to the client, said in the log, before anything is looked up", async () => {
  await using owner = new ScriptedOwner();
  const room = { refusal: () => "there are 9 calls, 9 are allowed", retryAfterSeconds: () => 7 };
  owner.shared.admission = room;
  dial(owner, "bob@10.0.0.2", []);
  await settle();
  assert.deepEqual(owner.link.take(), ['rejected("503 Service Unavailable")']);
  assert.deepEqual([owner.state.type, owner.factory.asked], ["idle", []]);
  assert.ok(
    owner.log.at("warn").some((line) => line.includes('INVITE "bob@10.0.0.2" not sent: there are 9 calls')),
  );
});

Deno.test("no RTP port is 503 to the client, said in the log", async () => {
  await using owner = new ScriptedOwner();
  owner.factory.refusal = { type: "failed", reason: "All 10 RTP port pairs are in use" };
  dial(owner, "bob@10.0.0.2", []);
  await settle();
  assert.deepEqual(owner.link.take(), ['rejected("503 Service Unavailable")']);
  assert.equal(owner.state.type, "idle");
  assert.ok(owner.log.at("warn").some((line) => line.includes("All 10 RTP port pairs")));
});

Deno.test("media are opened on the address that faces the destination, with the client's list", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner, "bob@10.0.0.2", ["pcmu", "dtmf"]);
  assert.deepEqual(owner.factory.asked, ["10.0.0.1 pcmu,dtmf"]);
  assert.equal(sdpText(invite.offer), "our offer 1");
  invite.steps.push(refused(404, "Not Found"));
  await settle();
});

Deno.test("early media of a call that was given up are not heard, though its end takes a while", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  invite.steps.push(progress(183, "Session Progress", "early"));
  await settle();
  owner.hangUp();
  const media = owner.factory.last;
  assert.ok(!media.disposed, "the remote party has not agreed to the end");
  media.hear(20);
  assert.deepEqual(owner.played, []);
});

Deno.test("early media of a 183 are heard before the call is accepted", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  owner.factory.last.hear(0);
  assert.deepEqual(owner.played, []);
  invite.steps.push(progress(183, "Session Progress", "early"));
  await settle();
  owner.factory.last.hear(20);
  assert.deepEqual(owner.played, ["8@20"]);
  assert.ok(owner.factory.last.log.includes("answer early"));
  assert.ok(owner.factory.last.early, "and silence is sent");
  invite.steps.push(refused(486, "Busy Here"));
  await settle();
  assert.equal(owner.factory.openCount, 0);
});

Deno.test("accepted comes with the report of the media, once the call leg is talking", async () => {
  await using owner = new ScriptedOwner();
  owner.factory.prepare = (media) => media.report = ["speex", null];
  const invite = await dialled(owner);
  const call = new ScriptedCall();
  const states: string[] = [];
  owner.link.onCall = () => states.push(owner.state.type);
  invite.steps.push({ type: "accepted", call: call.call });
  await settle();
  assert.deepEqual(owner.link.take(), ['accepted("speex", null)']);
  assert.deepEqual(states, ["talking"]);
  call.end("remote");
  await settle();
  assert.deepEqual(owner.link.take(), ["byed()"]);
});

for (const [what, body] of [["that cannot be used", sdp("bad")], ["that is missing", null]] as const) {
  Deno.test(`an answer ${what} hangs up and is rejected with 488`, async () => {
    await using owner = new ScriptedOwner();
    const invite = await dialled(owner);
    const call = new ScriptedCall();
    call.remoteBody = body;
    invite.steps.push({ type: "accepted", call: call.call });
    await settle();
    assert.match(
      owner.link.take().join(),
      /^rejected\("488 Not Acceptable Here: the answer cannot be used, .+"\)$/,
    );
    assert.deepEqual([call.hangUps, owner.state.type, owner.factory.openCount], [1, "idle", 0]);
  });
}

/** What the context does for `bye` while dialing. */
function giveUp(owner: ScriptedOwner): void {
  const line = owner.state;
  assert.ok(line.type === "dialing");
  line.attempt.abort();
  owner.become(IDLE);
}

Deno.test("given up while dialing: cancelled, no callback, media gone, the call leg free", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  giveUp(owner);
  await settle();
  assert.ok(invite.signal.aborted);
  assert.deepEqual([owner.link.take(), owner.factory.openCount, owner.scope.size], [[], 0, 0]);
});

Deno.test("given up while the way is looked for: no media, no INVITE, no callback", async () => {
  await using owner = new ScriptedOwner();
  const { promise, resolve } = Promise.withResolvers<Awaited<ScriptedAgent["routeOutcome"]>>();
  owner.agent.routeOutcome = promise;
  dial(owner, "bob@slow.example", []);
  await settle();
  giveUp(owner);
  resolve({ type: "unreachable", reason: "too late" });
  await settle();
  assert.deepEqual([owner.link.take(), owner.factory.asked, owner.agent.invites.length], [[], [], 0]);
});

Deno.test("an answer that came together with giving up is hung up without a callback", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  const call = new ScriptedCall();
  invite.steps.push({ type: "accepted", call: call.call });
  giveUp(owner);
  await settle();
  assert.deepEqual([owner.link.take(), call.hangUps, owner.factory.openCount], [[], 1, 0]);
});

Deno.test("ringing that came together with giving up is not told", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  invite.steps.push(progress(180, "Ringing"));
  giveUp(owner);
  await settle();
  assert.deepEqual(owner.link.take(), []);
});

Deno.test("an attempt that ends without an outcome is an internal error, not a silence", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  invite.steps.close();
  await settle();
  assert.deepEqual(owner.link.take(), ['rejected("Internal server error")']);
  assert.equal(owner.state.type, "idle");
});

Deno.test("an internal error is logged, told, and leaves the call leg free and nothing open", async () => {
  await using owner = new ScriptedOwner();
  owner.factory.prepare = (media) => media.bug = new Error("a bug");
  dial(owner, "bob@10.0.0.2", []);
  await settle();
  assert.deepEqual(owner.link.take(), ['rejected("Internal server error")']);
  assert.deepEqual([owner.state.type, owner.factory.openCount], ["idle", 0]);
  assert.ok(owner.log.at("error").some((line) => line.includes("a bug")));
});

/** An offer of the remote party before its 2xx, and what we said to it. */
function earlyOffer(text: string | null): { step: InviteProgress; said: string[] } {
  const said: string[] = [];
  const offer: OfferEvent = {
    type: "offer",
    body: text === null ? null : sdp(text),
    answer: (body) => {
      said.push(`200 ${sdpText(body)}`);
      return Promise.resolve(true);
    },
    refuse: (status, reason) => void said.push(`${status} ${reason}`),
  };
  return { step: { type: "offer", offer }, said };
}

Deno.test("an offer before the 2xx is answered; media go on with it", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  invite.steps.push(progress(183, "Session Progress", "early answer"));
  const { step, said } = earlyOffer("another place");
  invite.steps.push(step);
  await settle();
  assert.match(said[0] ?? "", /^200 /);
  invite.steps.push(refused(486, "Busy Here"));
  await settle();
});

Deno.test("an offer before the 2xx that cannot be used is 488, and the attempt goes on", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  const { step, said } = earlyOffer(null);
  invite.steps.push(step);
  await settle();
  assert.deepEqual(said, ["488 Not Acceptable Here"]);
  assert.equal(owner.state.type, "dialing");
  invite.steps.push(refused(486, "Busy Here"));
  await settle();
});

const moved = (...uris: string[]): Refused => ({
  ...refused(302, "Moved Temporarily"),
  redirects: uris.map(parseSipUri),
});

function not0900(_from: string, { user }: DialTarget): Decision {
  return user === "0900" ? { type: "refused", reason: "0900 is not in allowed-dials" } : { type: "allowed" };
}

/** What a 302 names, what each further INVITE is answered, and what comes of it. */
const REDIRECTED: {
  name: string;
  contacts: string[];
  redirect?: boolean;
  mayCall?: typeof not0900;
  answers?: Refused[];
  called: string[];
  told: string;
}[] = [
  {
    name: "followed",
    contacts: ["sip:carol@10.0.0.3"],
    answers: [refused(486, "Busy Here")],
    called: ["sip:carol@10.0.0.3"],
    told: "486 Busy Here",
  },
  {
    name: "several, best first, until one answers for all",
    contacts: ["sip:a@10.0.0.3", "sip:b@10.0.0.4", "sip:c@10.0.0.5"],
    answers: [refused(404, "Not Found"), refused(603, "Decline")],
    called: ["sip:a@10.0.0.3", "sip:b@10.0.0.4"],
    told: "603 Decline",
  },
  {
    name: "redirected again: not followed",
    contacts: ["sip:carol@10.0.0.3"],
    answers: [moved("sip:dave@10.0.0.4")],
    called: ["sip:carol@10.0.0.3"],
    told: "302 Moved Temporarily",
  },
  {
    name: "to where we came from",
    contacts: ["sip:bob@10.0.0.2"],
    called: [],
    told: "302 Moved Temporarily",
  },
  {
    name: "switched off",
    contacts: ["sip:carol@10.0.0.3"],
    redirect: false,
    called: [],
    told: "302 Moved Temporarily",
  },
  {
    name: "to what may not be called",
    contacts: ["sip:0900@10.0.0.3"],
    mayCall: not0900,
    called: [],
    told: "403 Forbidden: blocked by this gateway, 0900 is not in allowed-dials",
  },
  {
    name: "to what may not be called, and what may",
    contacts: ["sip:0900@10.0.0.3", "sip:carol@10.0.0.3"],
    mayCall: not0900,
    answers: [refused(480, "Temporarily Unavailable")],
    called: ["sip:carol@10.0.0.3"],
    told: "480 Temporarily Unavailable",
  },
  {
    name: "to a number: as if it was dialled",
    contacts: ["tel:+4930123"],
    answers: [refused(486, "Busy Here")],
    called: ["sip:+4930123@example.com;user=phone"],
    told: "486 Busy Here",
  },
];

for (const { name, contacts, redirect, mayCall, answers = [], called, told } of REDIRECTED) {
  Deno.test(`302, ${name}`, async () => {
    await using owner = new ScriptedOwner();
    if (redirect !== undefined) owner.shared.config = { ...owner.shared.config, redirect };
    if (mayCall !== undefined) owner.shared.access = { ...owner.shared.access, mayCall };
    const first = await dialled(owner);
    first.steps.push(moved(...contacts));
    await settle();
    for (const [n, answer] of answers.entries()) {
      owner.agent.invites[n + 1]?.steps.push(answer);
      await settle();
    }
    const targets = owner.agent.invites.slice(1).map(({ options }) => formatSipUri(options.target!));
    assert.deepEqual([targets, owner.link.take()], [called, [`rejected(${JSON.stringify(told)})`]]);
    for (const { to } of owner.agent.invites) assert.equal(to.uri.user, "bob"); // whom the user wanted
    assert.deepEqual([owner.state.type, owner.factory.openCount, owner.scope.size], ["idle", 0, 0]);
  });
}

Deno.test("302: who answers there has the call", async () => {
  await using owner = new ScriptedOwner();
  const first = await dialled(owner);
  first.steps.push(moved("sip:carol@10.0.0.3"));
  await settle();
  const call = new ScriptedCall();
  owner.agent.invites[1]!.steps.push({ type: "accepted", call: call.call });
  await settle();
  assert.deepEqual([owner.state.type, owner.link.take()], ["talking", ["accepted()"]]);
  owner.hangUp();
  await settle();
});

Deno.test("302: hanging up meanwhile ends it", async () => {
  await using owner = new ScriptedOwner();
  const first = await dialled(owner);
  first.steps.push(moved("sip:carol@10.0.0.3", "sip:dave@10.0.0.4"));
  await settle();
  owner.hangUp();
  await settle();
  assert.deepEqual([owner.agent.invites.length, owner.link.take()], [2, []]);
});

Deno.test("the way is looked up once: media and INVITE take the same", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  assert.deepEqual(owner.agent.routed, ["10.0.0.2"]);
  assert.equal(invite.options.hop, await owner.agent.routeOutcome);
  invite.steps.push(refused(404, "Not Found"));
  await settle();
});

Deno.test("a change of server is a status of the client's connection", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  const target = (hostname: string) => ({ transport: "udp" as const, endpoint: { hostname, port: 5060 } });
  invite.options.onFailover?.({
    from: target("10.0.0.2"),
    to: target("10.0.0.3"),
    reason: "no answer for 4 s",
  });
  const [told] = owner.link.take();
  assert.match(told ?? "", /^onStatus\(.*NetConnection\.Call\.Trying/);
  assert.match(told ?? "", /10\.0\.0\.2:5060 failed \(no answer for 4 s\): trying the next server/);
  invite.steps.push(refused(404, "Not Found"));
  await settle();
});

Deno.test("an answer that cannot be used is told at once, not when the BYE is answered", async () => {
  await using owner = new ScriptedOwner();
  const invite = await dialled(owner);
  const call = new ScriptedCall();
  call.remoteBody = null;
  call.byeAnswer = Promise.withResolvers();
  invite.steps.push({ type: "accepted", call: call.call });
  await settle();
  const [told] = owner.link.take();
  assert.match(
    told ?? "",
    /488 Not Acceptable Here: the answer cannot be used, it has no session description/,
  );
  assert.equal(call.hangUps, 1);
  call.byeAnswer.resolve();
  await settle();
});

Deno.test("whether a target may be called is asked in the name of the client", async () => {
  const asked: string[] = [];
  await using owner = new ScriptedOwner(new ScriptedAgent(), { askedBy: "192.0.2.7" });
  owner.shared.access = {
    mayCall: (from, to) => {
      asked.push(`${from} calls ${to.user}@${to.host}`);
      return { type: "refused", reason: "because" };
    },
    mayDial: () => ({ type: "allowed" }),
  };
  dial(owner, "sip:bob@10.0.0.2", []);
  await settle();
  assert.deepEqual(asked, ["192.0.2.7 calls bob@10.0.0.2"]);
  assert.deepEqual(owner.link.take(), ['rejected("403 Forbidden: blocked by this gateway, because")']);
});
