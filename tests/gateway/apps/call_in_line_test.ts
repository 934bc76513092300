import assert from "node:assert/strict";
import fc from "fast-check";
import { settle } from "../../support/fake_clock.ts";
import { Ticker } from "../../../lib/base/ticker.ts";
import type { SipAccount } from "../../../lib/config/accounts.ts";
import type { AccountUse } from "../../../lib/gateway/apps/account_client.ts";
import { CallInLine } from "../../../lib/gateway/apps/call_in_line.ts";
import { StreamClient } from "../../../lib/gateway/apps/stream_client.ts";
import { silentFrames, WaitingSound } from "../../../lib/gateway/apps/waiting_sound.ts";
import { RecordingStream, ScriptedCall, ScriptedInvitation } from "../../support/gateway_fakes.ts";
import { KeepingSink } from "../../support/live_sink.ts";
import { LineBench, message, sipAccount } from "../../support/stream_line_bench.ts";

/** One line, and programs that come and go. */
class Scene extends LineBench {
  readonly ticker = new Ticker(this.clock, 20);
  readonly line: CallInLine;
  /** Calls of clients: "publisher receivedDTMF 5, 160". */
  readonly called: string[] = [];
  readonly #account;

  constructor(config: Partial<SipAccount>) {
    super();
    this.#account = { config: sipAccount(config), agent: this.agent, log: this.log };
    this.line = new CallInLine({
      account: this.#account,
      codecs: ["aac", "h264"],
      openClient: (link) =>
        new StreamClient({
          link,
          agent: this.agent,
          services: this.services,
          remote: { streams: this.streams, path: "line/desk" },
          rtmpPeer: () => null,
        }),
      createWaiting: (line) =>
        new WaitingSound({
          frames: silentFrames(),
          clock: this.clock,
          ticker: this.ticker,
          put: (each) => line.put(each),
        }),
      streams: this.streams,
      clock: this.clock,
    });
  }

  /** A stream of a client. */
  use(who: string, stream = new RecordingStream()): { use: AccountUse; events: string[] } {
    const use: AccountUse = {
      account: this.#account,
      rest: "",
      stream: stream.net,
      connection: {
        peer: { hostname: "192.0.2.1", port: 1 },
        id: 7,
        call: (method, ...args) => void this.called.push(`${who} ${method} ${args.join(", ")}`),
        close: () => Promise.resolve(),
        answers: () => Promise.resolve(true),
      },
      proof: null,
      end: () => {},
    };
    return { use, events: stream.events };
  }

  /** Somebody speaks; gives what takes it. */
  speak(who = "publisher") {
    const { use, events } = this.use(who);
    const outcome = this.line.publish(use);
    if (outcome.type === "refused") throw new Error(outcome.reason);
    return { ...outcome.publisher, events };
  }

  /** Somebody plays. */
  listen(who = "player") {
    const { use, events } = this.use(who);
    const sink = new KeepingSink();
    const outcome = this.line.play(use, sink);
    if (outcome.type === "refused") throw new Error(outcome.reason);
    return { sink, events, leave: () => outcome.subscription[Symbol.dispose]() };
  }

  /** Somebody calls, up to our answer or ringing. */
  ringUp(): ScriptedInvitation {
    const invitation = new ScriptedInvitation();
    this.line.invited(invitation);
    return invitation;
  }

  /** Somebody calls, and is answered. */
  async callUp(): Promise<ScriptedCall> {
    const [invitation, call] = [this.ringUp(), new ScriptedCall()];
    invitation.confirm(call);
    await settle();
    assert.equal(this.line.leg.state.type, "talking", invitation.said.join());
    return call;
  }

  async leave(): Promise<void> {
    await this.line[Symbol.asyncDispose]();
    assert.deepEqual(await this.close(), []);
  }
}

const AUTO = { answer: "auto" } as const;
const ON_PUBLISH = { answer: "on-publish" } as const;

Deno.test("answer no: callers hear 480, programs are told why nothing can be played or said", async () => {
  const scene = new Scene({ answer: "no" });
  assert.deepEqual(scene.ringUp().said, ["480 Temporarily Unavailable"]);
  for (
    const outcome of [
      scene.line.publish(scene.use("a").use),
      scene.line.play(scene.use("b").use, new KeepingSink()),
    ]
  ) {
    assert.match(outcome.type === "refused" ? outcome.reason : "", /desk takes no calls/);
  }
  await scene.leave();
});

Deno.test("answer auto: rings, answers at once with the line's codecs; a second caller hears 486", async () => {
  const scene = new Scene(AUTO);
  const invitation = scene.ringUp();
  await settle();
  assert.deepEqual(invitation.said, ["180", "200 answer to bob"]);
  assert.deepEqual(scene.factory.asked, ["10.0.0.1 aac,h264"]);
  assert.deepEqual(scene.ringUp().said, ["486 Busy Here"]);
  invitation.fail("no ACK");
  await settle();
  assert.equal((await scene.callUp()).hangUps, 0, "and the line is free again");
  await scene.leave();
});

Deno.test("players stay from before the first call to after the second, and times go on", async () => {
  const scene = new Scene(AUTO);
  const player = scene.listen();
  for (let round = 0; round < 2; round++) {
    const call = await scene.callUp();
    scene.factory.last.hear(20);
    call.end("remote");
    await settle();
    scene.clock.advance(500);
  }
  assert.deepEqual(
    player.sink.lines,
    ["started", "sound 20", "sound 520"],
    "no word of publishing and its end",
  );
  assert.deepEqual(player.events, [
    'status NetStream.Call.Ringing "Bob" <sip:bob@10.0.0.2> calls',
    "status NetStream.Call.Accepted the call is up",
    "status NetStream.Call.Ended the remote party hung up",
    'status NetStream.Call.Ringing "Bob" <sip:bob@10.0.0.2> calls',
    "status NetStream.Call.Accepted the call is up",
    "status NetStream.Call.Ended the remote party hung up",
  ]);
  player.leave();
  await scene.callUp();
  assert.equal(player.events.length, 6, "who has left is told nothing");
  await scene.leave();
});

Deno.test("the caller hears waiting frames until somebody publishes, and again afterwards", async () => {
  const scene = new Scene(AUTO);
  await scene.callUp();
  const { log } = scene.factory.last;
  log.length = 0;
  scene.clock.advance(40);
  const speaker = scene.speak();
  speaker.media(message(8, 5, "82ff"));
  scene.clock.advance(40);
  speaker.ended();
  scene.clock.advance(20);
  assert.deepEqual(log, [
    "8@0",
    "8@20",
    "8@40",
    "publisher changed",
    "8@5",
    "publisher changed",
    "8@0",
    "8@20",
  ]);
  scene.clock.advance(10_000);
  assert.equal(scene.line.leg.state.type, "talking", "auto: the call goes on");
  await scene.leave();
});

Deno.test("a publisher that is there before the call is heard from its beginning, and a second one is refused", async () => {
  const scene = new Scene(AUTO);
  const speaker = scene.speak();
  speaker.media(message(8, 0, "af001210"));
  const second = scene.line.publish(scene.use("second").use);
  assert.equal(second.type === "refused" && second.reason, "somebody else speaks on this line");
  const third = scene.line.publish(scene.use("third").use, scene.use("nobody here").use);
  assert.equal(third.type, "refused", "only who is there can be replaced");
  await scene.callUp();
  scene.clock.advance(100);
  assert.deepEqual(scene.factory.last.log.filter((each) => each.startsWith("8@")), ["8@0", "8@0"]);
  speaker.ended();
  scene.speak("second");
  await scene.leave();
});

Deno.test("answer on-publish: rings until somebody publishes; hung up 2 s after the publisher has left", async () => {
  const scene = new Scene(ON_PUBLISH);
  const [invitation, call] = [scene.ringUp(), new ScriptedCall()];
  await settle();
  assert.deepEqual(invitation.said, ["180"]);
  const first = scene.speak();
  invitation.confirm(call);
  await settle();
  first.ended();
  scene.clock.advance(1999);
  const second = scene.speak();
  scene.clock.advance(5000);
  assert.equal(call.hangUps, 0, "somebody came back in time");
  second.ended();
  scene.clock.advance(1999);
  assert.equal(call.hangUps, 0);
  scene.clock.advance(1);
  await settle();
  assert.equal(call.hangUps, 1);
  const third = scene.speak();
  const next = scene.ringUp();
  await settle();
  assert.deepEqual(next.said, ["180", "200 answer to bob"], "somebody speaks already");
  third.ended();
  next.confirm(new ScriptedCall());
  await settle();
  scene.clock.advance(2000);
  await settle();
  assert.equal(scene.line.leg.state.type, "idle", "who spoke had left before the ACK came");
  await scene.leave();
});

Deno.test("a caller who cancels while it rings: a later publisher finds no call, and no harm", async () => {
  const scene = new Scene(ON_PUBLISH);
  const player = scene.listen();
  scene.ringUp().cancel();
  const speaker = scene.speak();
  await settle();
  assert.match(player.events.at(-1)!, /Call.Ended the caller gave up/);
  assert.deepEqual(scene.factory.asked, []);
  speaker.bye();
  assert.match(player.events.at(-1)!, /gave up/, "there is nothing to hang up");
  await scene.leave();
});

Deno.test("bye of the publisher and the longest duration hang up; both are told", async () => {
  const scene = new Scene({ ...AUTO, maxDurationSeconds: 30 });
  const [player, speaker] = [scene.listen(), scene.speak()];
  const first = await scene.callUp();
  speaker.bye();
  await settle();
  assert.equal(first.hangUps, 1);
  assert.deepEqual([player, speaker].map(({ events }) => events.at(-1)), [
    "status NetStream.Call.Ended hung up",
    "status NetStream.Call.Ended hung up",
  ]);
  const second = await scene.callUp();
  scene.clock.advance(30_000);
  await settle();
  assert.equal(second.hangUps, 1);
  assert.match(player.events.at(-1)!, /Ended the call has lasted 30 s/);
  const third = await scene.callUp();
  third.end("remote");
  await settle();
  scene.clock.advance(30_000);
  assert.equal(scene.clock.pending, 0, "the timer ended with its call");
  await scene.leave();
});

Deno.test("DTMF and texts of the caller reach every client once; tones of the publisher reach the caller", async () => {
  const scene = new Scene(AUTO);
  const [, speaker] = [scene.listen(), scene.speak()];
  await scene.callUp();
  scene.factory.last.onDigit?.("5", 160);
  scene.line.call("receivedMessage", "hello");
  assert.deepEqual(scene.called, [
    "player receivedDTMF 5, 160",
    "publisher receivedDTMF 5, 160",
    "player receivedMessage hello",
    "publisher receivedMessage hello",
  ]);
  const problems: (string | null)[] = [];
  speaker.sendDigits("1", 100, (problem) => problems.push(problem));
  assert.deepEqual(problems, [null]);
  await scene.leave();
});

for (const state of ["alerting", "answering", "talking"] as const) {
  Deno.test(`disposed while ${state}: nothing is left`, async () => {
    const scene = new Scene({ ...(state === "alerting" ? ON_PUBLISH : AUTO), maxDurationSeconds: 60 });
    const player = scene.listen();
    const call = new ScriptedCall();
    const invitation = scene.ringUp();
    if (state === "talking") invitation.confirm(call);
    await settle();
    assert.equal(scene.line.leg.state.type, state);
    const closing = scene.leave();
    if (state === "answering") invitation.confirm(call);
    await closing;
    if (state !== "alerting") assert.equal(call.hangUps, 1);
    player.leave();
    assert.equal(scene.streams.usage.streams, 0);
  });
}

/** Callers and programs that come and go as they like. */
class Traffic extends Scene {
  readonly invitations: ScriptedInvitation[] = [];
  readonly answered: ScriptedCall[] = [];
  readonly speakers: ReturnType<Scene["speak"]>[] = [];
  readonly players: ReturnType<Scene["listen"]>[] = [];

  /** Speaks, unless somebody else does. */
  trySpeak(): void {
    const { use, events } = this.use("publisher");
    const outcome = this.line.publish(use);
    if (outcome.type === "publishing") this.speakers.push({ ...outcome.publisher, events });
  }
}

const EVENTS: Readonly<Record<string, (traffic: Traffic) => unknown>> = {
  "a call": (traffic) => traffic.invitations.push(traffic.ringUp()),
  "the ACK": (traffic) => {
    const call = new ScriptedCall();
    traffic.answered.push(call);
    traffic.invitations.at(-1)?.confirm(call);
  },
  "no ACK": (traffic) => traffic.invitations.at(-1)?.fail("no ACK"),
  CANCEL: (traffic) => traffic.invitations.at(-1)?.cancel(),
  BYE: (traffic) => traffic.answered.at(-1)?.end("remote"),
  "a speaker comes": (traffic) => traffic.trySpeak(),
  "the speaker leaves": (traffic) => traffic.speakers.pop()?.ended(),
  "the speaker speaks": (traffic) => traffic.speakers.at(-1)?.media(message(8, 0, "82ff")),
  "the speaker says bye": (traffic) => traffic.speakers.at(-1)?.bye(),
  "a player comes": (traffic) => traffic.players.push(traffic.listen()),
  "a player leaves": (traffic) => traffic.players.pop()?.leave(),
  "the caller is heard": (traffic) => traffic.factory.opened.at(-1)?.hear(20),
  "a moment": (traffic) => traffic.clock.advance(700),
  "a while": (traffic) => traffic.clock.advance(11_000),
};

for (const answer of ["auto", "on-publish"] as const) {
  Deno.test(`answer ${answer}: whatever happens in whatever order, callers hear something, and nothing is left`, async () => {
    const names = Object.keys(EVENTS);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...names), { maxLength: 30 }), async (happening) => {
        const traffic = new Traffic({ answer, maxDurationSeconds: 20 });
        for (const name of happening) {
          EVENTS[name]!(traffic);
          await settle();
          // One that was hung up before its ACK came still waits for it, but is not heard.
          const heard = traffic.factory.opened.filter(({ disposed, toRtmp }) => !disposed && toRtmp !== null);
          assert.ok(heard.length <= 1, "one caller at a time");
          const talking = traffic.line.leg.state.type === "talking";
          assert.equal(
            traffic.ticker.size,
            Number(talking && traffic.speakers.length === 0),
            "waiting sound",
          );
        }
        const accepted = traffic.invitations.filter(({ said }) =>
          said.some((each) => each.startsWith("200"))
        );
        const closing = traffic.leave();
        for (const invitation of accepted) invitation.fail("the end"); // those that still wait for their ACK
        await closing;
        for (const { leave } of traffic.players) leave();
        assert.equal(traffic.streams.usage.streams, 0);
      }),
      { numRuns: 150 },
    );
  });
}
