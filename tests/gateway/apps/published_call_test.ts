import fc from "fast-check";
import { builtInCodecs } from "../../../lib/codecs/registry.ts";
import assert from "node:assert/strict";
import type { AmfValue } from "../../../lib/amf/value.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import {
  type CallRules,
  isWorthRedialling,
  NO_ANSWER,
  PublishedCall,
  redialDelayMs,
} from "../../../lib/gateway/apps/published_call.ts";
import { settle } from "../../support/fake_clock.ts";
import type { ScriptedCall } from "../../support/gateway_fakes.ts";
import { LineBench, message, sipAccount, text } from "../../support/stream_line_bench.ts";

const OPUS_CHANNELS = "944f707573010200000003";
const SOUND = "af0121";
const AAC = "af001210";
const AVC = "170000000001420020";

/** A publisher on a line of the bench, and what it is told. */
class Scene extends LineBench {
  /** "status Call.Ringing: 180 Ringing", "receivedDTMF "5", 160", "over: reason". */
  readonly told: string[] = [];
  /** Calls that the remote party accepted. */
  readonly answered: ScriptedCall[] = [];
  readonly call: PublishedCall;

  constructor(rules: Partial<CallRules> = {}, takesAac = true) {
    super();
    this.call = new PublishedCall({
      destination: "100",
      rules: sipAccount(rules),
      registry: builtInCodecs,
      transcodable: new Set(takesAac ? ["aac"] : []),
      openClient: (link) => this.openClient(link),
      clock: this.clock,
      random: { ...this.random, float: () => 0.5 },
      tell: (level, code, words) =>
        this.told.push(`${level === "error" ? "error " : ""}${code.replace("NetStream.", "")}: ${words}`),
      callClient: (method, ...args: AmfValue[]) => this.told.push(`${method} ${text(args)}`),
      onOver: (reason) => this.told.push(`over: ${reason}`),
    }, this.publisher);
  }

  /** The publisher sends one message. */
  send(type: 8 | 9 | 18, hex: string): void {
    this.call.media(message(type, 0, hex));
  }

  /** What was told since the last call. */
  take(): string[] {
    return this.told.splice(0);
  }

  /** Ends it, and looks for what is left. */
  async leave(): Promise<void> {
    await this.call[Symbol.asyncDispose]();
    assert.deepEqual(await this.close(), []);
    assert.deepEqual(this.take(), [], "who has left is told nothing");
  }
}

Deno.test("the first sound dials with its codec, DTMF, and H.264 when that was configured by then", async () => {
  const rows: [name: string, sent: [8 | 9, string][], rules: Partial<CallRules>, codecs: string][] = [
    ["AAC, headers in OBS's order", [[8, AAC], [9, AVC], [8, SOUND]], {}, "aac,dtmf,h264"],
    ["AAC without pictures", [[8, AAC], [8, SOUND]], {}, "aac,dtmf"],
    ["G.711 at once", [[8, "82ff"]], {}, "pcmu,dtmf"],
    ["Speex with pictures too late", [[8, "b201"], [9, AVC]], {}, "wideband,narrowband,dtmf"],
    [
      "Opus behind its multichannel configuration",
      [[8, OPUS_CHANNELS], [8, "914f707573fc"]],
      {},
      "opus,dtmf",
    ],
    [
      "Opus with its head first",
      [[8, "904f70757301"], [8, OPUS_CHANNELS], [8, "914f707573fc"]],
      {},
      "opus,dtmf",
    ],
    ["Opus of several tracks", [[8, "95014f70757301fc"], [8, "95014f70757300fc"]], {}, "opus,dtmf"],
    ["Opus behind ModEx", [[8, "97020003e8014f707573fc"]], {}, "opus,dtmf"],
    ["AAC with ADTS headers", [[8, "af01fff150800bfffc21aabbcc"]], {}, "aac,dtmf"],
    [
      "H.264 whose parameter sets are in band",
      [[9, "27010000000000000165"], [8, SOUND]],
      {},
      "aac,dtmf,h264",
    ],
    ["HEVC, of which the call hears the sound", [[9, "9168766331000000aa"], [8, SOUND]], {}, "aac,dtmf"],
    ["H.264 of several tracks", [[9, "960161766331010000000000000165"], [8, SOUND]], {}, "aac,dtmf"],
    ["codecs of the account", [[9, AVC], [8, SOUND]], { codecs: ["opus", "pcmu"] }, "opus,pcmu"],
  ];
  for (const [name, sent, rules, codecs] of rows) {
    const scene = new Scene(rules);
    for (const [type, hex] of sent) scene.send(type, hex);
    await settle();
    assert.deepEqual(scene.factory.asked, [`10.0.0.1 ${codecs}`], name);
    assert.equal(scene.invite.to.uri.user, "100");
    await scene.leave();
  }
});

Deno.test("ringing, answer, DTMF and the end of the remote party are told in their order", async () => {
  const scene = new Scene();
  scene.send(8, "82ff");
  await scene.ring();
  const call = await scene.accept();
  assert.equal(scene.call.state, "talking");
  scene.factory.last.onDigit?.("5", 160);
  call.end("remote");
  await settle();
  assert.deepEqual(scene.take(), [
    "Call.Ringing: 180 Ringing",
    "Call.Accepted: the call is up",
    'receivedDTMF "5", 160',
    "Call.Ended: the remote party hung up",
    "over: the remote party hung up",
  ]);
  scene.send(8, "82ff");
  await settle();
  assert.equal(scene.agent.invites.length, 1, "what comes afterwards dials nobody");
  await scene.leave();
});

Deno.test("audio that no call can carry is refused in words", async () => {
  const scene = new Scene();
  scene.send(8, "2fff");
  const words = "this kind of audio cannot be carried in a call: send AAC, Opus, Speex or G.711";
  assert.deepEqual(scene.take(), [`error Publish.UnsupportedCodec: ${words}`, `over: ${words}`]);
  assert.equal(scene.agent.invites.length, 0);
  await scene.leave();
});

Deno.test("AAC without the module that converts it is refused in words; what needs none is dialled", async () => {
  const scene = new Scene({}, false);
  scene.send(8, AAC);
  scene.send(8, SOUND);
  const words = "AAC cannot be converted here: send Opus, Speex or G.711";
  assert.deepEqual(scene.take(), [`error Publish.UnsupportedCodec: ${words}`, `over: ${words}`]);
  await scene.leave();
  const other = new Scene({}, false);
  other.send(8, "82ff");
  assert.equal(other.call.state, "dialing");
  await other.leave();
});

Deno.test("pictures alone dial after 3 s, when they are H.264", async () => {
  const scene = new Scene();
  scene.send(9, AVC);
  scene.clock.advance(2999);
  assert.equal(scene.call.state, "waiting");
  scene.clock.advance(1);
  await settle();
  assert.deepEqual(scene.factory.asked, ["10.0.0.1 h264"]);
  await scene.leave();
  const other = new Scene();
  other.send(9, "1200aabbccdd");
  other.clock.advance(3000);
  const words = "there is no audio, and only H.264 pictures can be carried in a call";
  assert.deepEqual(other.take(), [`error Publish.UnsupportedCodec: ${words}`, `over: ${words}`]);
  await other.leave();
});

Deno.test("sound within the 3 s dials with both", async () => {
  const scene = new Scene();
  scene.send(9, AVC);
  scene.clock.advance(1000);
  scene.send(8, SOUND);
  await settle();
  scene.clock.advance(2500);
  await settle();
  assert.deepEqual(scene.factory.asked, ["10.0.0.1 aac,dtmf,h264"]);
  await scene.leave();
});

Deno.test("a publisher that sends nothing for 30 s is ended, before the call and in it", async () => {
  const before = new Scene();
  before.send(18, "020003666f6f");
  before.clock.advance(30_000);
  const words = "nothing was published for 30 s";
  assert.deepEqual(before.take(), [`error Call.Ended: ${words}`, `over: ${words}`]);
  await before.leave();
  const during = new Scene();
  during.send(8, "82ff");
  const call = await during.accept();
  during.take();
  during.clock.advance(29_000);
  during.send(8, "82ff");
  during.clock.advance(29_999);
  assert.deepEqual(during.take(), []);
  during.clock.advance(1);
  await settle();
  assert.deepEqual(during.take(), [`error Call.Ended: ${words}`, `over: ${words}`]);
  assert.equal(call.hangUps, 1);
  await during.leave();
});

Deno.test("nobody answers in time: CANCEL, and the end", async () => {
  const scene = new Scene({ answerTimeoutSeconds: 20 });
  scene.send(8, "82ff");
  await scene.ring();
  scene.send(8, "82ff");
  scene.clock.advance(19_999);
  assert.equal(scene.invite.signal.aborted, false);
  scene.clock.advance(1);
  await settle();
  assert.equal(scene.invite.signal.aborted, true);
  assert.deepEqual(scene.take(), [
    "Call.Ringing: 180 Ringing",
    "error Call.Rejected: no answer",
    "over: no answer",
  ]);
  await scene.leave();
});

Deno.test("busy, no answer, unreachable: dialled again after growing delays while the publisher stays", async () => {
  const scene = new Scene({
    answerTimeoutSeconds: 10,
    redial: { attempts: 3, firstDelaySeconds: 2 },
  });
  scene.send(8, "82ff");
  await scene.refuse(486, "Busy Here");
  assert.equal(scene.call.state, "pausing");
  scene.clock.advance(1999);
  assert.equal(scene.agent.invites.length, 1);
  scene.clock.advance(1);
  await settle();
  assert.equal(scene.agent.invites.length, 2);
  scene.clock.advance(10_000);
  await settle();
  scene.send(8, "82ff");
  scene.clock.advance(4000);
  await scene.refuse(503, "Service Unavailable");
  scene.send(8, "82ff");
  scene.clock.advance(8000);
  await settle();
  assert.equal(scene.agent.invites.length, 4);
  await scene.accept();
  assert.deepEqual(scene.take(), [
    "Call.Retrying: 486 Busy Here; dialled again in 2 s",
    "Call.Retrying: no answer; dialled again in 4 s",
    "Call.Retrying: 503 Service Unavailable; dialled again in 8 s",
    "Call.Accepted: the call is up",
  ]);
  await scene.leave();
});

Deno.test("the last attempt's refusal is the end; so is the first of those that stay as they are", async () => {
  const scene = new Scene({ redial: { attempts: 1, firstDelaySeconds: 1 } });
  scene.send(8, "82ff");
  await scene.refuse(486, "Busy Here");
  scene.clock.advance(1000);
  await scene.refuse(486, "Busy Here");
  assert.deepEqual(scene.take().slice(1), ["error Call.Rejected: 486 Busy Here", "over: 486 Busy Here"]);
  await scene.leave();
  const declined = new Scene({ redial: { attempts: 9, firstDelaySeconds: 1 } });
  declined.send(8, "82ff");
  await declined.refuse(603, "Decline");
  assert.deepEqual(declined.take(), ["error Call.Rejected: 603 Decline", "over: 603 Decline"]);
  await declined.leave();
});

Deno.test("a destination that is none, is told at once", async () => {
  const scene = new Scene();
  const other = new PublishedCall({
    destination: "sip:",
    rules: sipAccount(),
    registry: builtInCodecs,
    transcodable: new Set(["aac"]),
    openClient: (link) => scene.openClient(link),
    clock: scene.clock,
    random: scene.random,
    tell: (_level, code, words) => scene.told.push(`${code}: ${words}`),
    callClient: () => {},
    onOver: (reason) => scene.told.push(`over: ${reason}`),
  }, scene.publisher);
  other.media(message(8, 0, "82ff"));
  assert.deepEqual(scene.take(), ["NetStream.Call.Rejected: invalid dest URI", "over: invalid dest URI"]);
  await other[Symbol.asyncDispose]();
  await scene.leave();
});

Deno.test("the longest duration of a call, counted from its answer", async () => {
  const scene = new Scene({ maxDurationSeconds: 20 });
  scene.send(8, "82ff");
  await scene.ring();
  scene.clock.advance(15_000);
  const call = await scene.accept();
  scene.send(8, "82ff");
  scene.clock.advance(19_999);
  assert.equal(call.hangUps, 0);
  scene.clock.advance(1);
  await settle();
  assert.equal(call.hangUps, 1);
  assert.match(scene.take().at(-1)!, /^over: the call has lasted 20 s/);
  await scene.leave();
});

Deno.test("bye hangs up and is told; once over, nothing more", async () => {
  const scene = new Scene();
  scene.send(8, "82ff");
  const call = await scene.accept();
  scene.take();
  scene.call.bye();
  scene.call.bye();
  await settle();
  assert.deepEqual(scene.take(), ["Call.Ended: hung up", "over: hung up"]);
  assert.equal(call.hangUps, 1);
  await scene.leave();
});

/** How far the call is when its publisher leaves. */
const STATES: [name: string, get: (scene: Scene) => Promise<unknown>][] = [
  ["before its first media", () => settle()],
  ["with pictures and no sound yet", (scene) => Promise.resolve(scene.send(9, AVC))],
  ["dialing", (scene) => Promise.resolve(scene.send(8, "82ff"))],
  ["ringing", async (scene) => {
    scene.send(8, "82ff");
    await scene.ring();
  }],
  ["pausing", async (scene) => {
    scene.send(8, "82ff");
    await scene.refuse(486, "Busy Here");
  }],
  ["talking", async (scene) => {
    scene.send(8, "82ff");
    await scene.accept();
    scene.factory.last.hear(20);
  }],
];

for (const [name, get] of STATES) {
  Deno.test(`the publisher leaves ${name}: no timer, media or publication is left`, async () => {
    const scene = new Scene({ redial: { attempts: 1, firstDelaySeconds: 1 }, maxDurationSeconds: 60 });
    await get(scene);
    scene.take();
    await scene.leave();
    assert.equal(scene.call.state, "over");
  });
}

/** Things that may happen, in any order. */
const EVENTS: Readonly<Record<string, (scene: Scene) => unknown>> = {
  sound: (scene) => scene.send(8, "82ff"),
  "configuration of sound": (scene) => scene.send(8, AAC),
  "configuration of pictures": (scene) => scene.send(9, AVC),
  data: (scene) => scene.send(18, "020003666f6f"),
  ringing: (scene) => scene.agent.invites.length > 0 ? scene.ring() : null,
  busy: (scene) => scene.agent.invites.length > 0 ? scene.refuse(486, "Busy Here") : null,
  declined: (scene) => scene.agent.invites.length > 0 ? scene.refuse(603, "Decline") : null,
  accepted: (scene) =>
    scene.agent.invites.length > 0 ? scene.accept().then((call) => scene.answered.push(call)) : null,
  "the remote party hangs up": (scene) => scene.answered.at(-1)?.end("remote"),
  "a moment": (scene) => scene.clock.advanceAsync(700),
  "a while": (scene) => scene.clock.advanceAsync(11_000),
  bye: (scene) => scene.call.bye(),
};

Deno.test("whatever happens in whatever order: told of its end once, redialled no more than allowed, nothing left", async () => {
  const names = Object.keys(EVENTS);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...names), { maxLength: 25 }), async (happening) => {
      const scene = new Scene({
        answerTimeoutSeconds: 10,
        redial: { attempts: 2, firstDelaySeconds: 1 },
        maxDurationSeconds: 20,
      });
      for (const name of happening) {
        await EVENTS[name]!(scene);
        await settle();
        assert.equal(scene.factory.openCount <= 1, true, "one call at a time");
      }
      const told = scene.take();
      const ends = told.filter((line) => line.startsWith("over:"));
      assert.equal(ends.length, scene.call.state === "over" ? 1 : 0);
      if (ends.length > 0) assert.equal(told.at(-1), ends[0]);
      assert.ok(scene.agent.invites.length <= 3);
      await scene.leave();
    }),
    { numRuns: 150 },
  );
});

const AGAIN = [
  NO_ANSWER,
  "408 Request timeout",
  "480 Temporarily Unavailable",
  "486 Busy Here",
  "500 Server Internal Error",
  "503 Service Unavailable",
  "503 no such host",
  "504 Server Time-out",
  "600 Busy Everywhere",
];
const LASTING = [
  "401 Unauthorized",
  "403 Forbidden",
  "404 Not Found",
  "407 Proxy Authentication Required",
  "484 Address Incomplete",
  "488 Not Acceptable Here",
  "501 Not Implemented",
  "505 Version Not Supported",
  "603 Decline",
  "606 Not Acceptable",
  "302 Moved Temporarily",
  "invalid dest URI",
  "Internal server error",
  "4860 is no status",
  "",
];

for (const [reasons, again] of [[AGAIN, true], [LASTING, false]] as const) {
  for (const reason of reasons) {
    Deno.test(`"${reason}" is ${again ? "tried again" : "final"}`, () => {
      assert.equal(isWorthRedialling(reason), again);
    });
  }
}

Deno.test("delays double, by chance a fifth shorter or longer, up to five minutes", () => {
  const policy = { attempts: 100, firstDelaySeconds: 5 };
  const middle = { ...seededRandom(1), float: () => 0.5 };
  const plain = [0, 1, 2, 3, 6, 7, 50].map((redials) => redialDelayMs(policy, redials, middle));
  assert.deepEqual(plain, [5000, 10_000, 20_000, 40_000, 300_000, 300_000, 300_000]);
  fc.assert(fc.property(fc.nat(1100), fc.nat(300), fc.nat(), (redials, first, seed) => {
    const ms = redialDelayMs({ attempts: 1, firstDelaySeconds: 1 + first }, redials, seededRandom(seed));
    const wanted = Math.min(300_000, (1 + first) * 1000 * 2 ** redials);
    assert.ok(ms >= 0.8 * wanted - 1 && ms <= Math.min(300_000, 1.2 * wanted + 1), `${ms} for ${wanted}`);
  }));
});
