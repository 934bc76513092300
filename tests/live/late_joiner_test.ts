// Who joins late begins now: whatever the publisher's pictures, sound and times did before.
import assert from "node:assert/strict";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { silentLog } from "../../lib/base/log.ts";
import { defaultLiveLimits, LiveStreams, type Publication } from "../../lib/live/streams.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { concatBytes, fromHex } from "../../lib/base/bytes.ts";
import { annexB } from "../support/h264_forms.ts";
import { avc, slice } from "../support/media_h264.ts";
import { aacHeader, avcHeader, picture, sound } from "../support/live_flv.ts";
import { KeepingSink } from "../support/live_sink.ts";

/** A publisher on a clock of its own, beside ours. */
class Publisher {
  readonly clock = new FakeClock(5000);
  readonly streams = new LiveStreams(defaultLiveLimits, { clock: this.clock, log: silentLog });
  readonly publication: Publication;
  timeMs = 0;

  constructor() {
    const outcome = this.streams.publish("live/cam");
    assert.ok(outcome.type === "publishing");
    this.publication = outcome.publication;
    this.publication.put(18, 0, encodeAmf0(["onMetaData", {}]));
    this.publication.put(9, 0, avcHeader());
    this.publication.put(8, 0, aacHeader());
  }

  key(): void {
    this.publication.put(9, this.timeMs, picture(true));
  }

  /** Sound, and pictures of 25 a second or none. @param paced false: all at once, as after a network stall */
  runs(ms: number, pictures: boolean, paced = true): void {
    for (let passedMs = 0; passedMs < ms; passedMs += 20) {
      if (pictures && passedMs % 40 === 0 && passedMs > 0) {
        this.publication.put(9, this.timeMs, picture(false));
      }
      this.publication.put(8, this.timeMs, sound());
      this.timeMs += 20;
      if (paced) this.clock.advance(20);
    }
  }

  /** What somebody gets who joins now. */
  joins(): string[] {
    const sink = new KeepingSink();
    assert.ok(this.streams.play("live/cam", sink).type === "playing");
    return sink.take();
  }
}

interface Situation {
  readonly what: string;
  readonly before: (publisher: Publisher) => void;
  /** Whether there is a picture to begin with. */
  readonly picture: boolean;
}

const SITUATIONS: readonly Situation[] = [
  {
    what: "pictures stopped behind a key frame, sound went on for two minutes",
    before: (at) => (at.key(), at.runs(120_000, false)),
    picture: false,
  },
  {
    what: "the same, all of it sent within a moment",
    before: (at) => (at.key(), at.runs(120_000, false, false)),
    picture: false,
  },
  {
    what: "pictures stopped in the middle of a group",
    before: (at) => (at.key(), at.runs(2000, true), at.runs(3200, false)),
    picture: false,
  },
  {
    what: "pictures have just stopped",
    before: (at) => (at.key(), at.runs(1000, true), at.runs(2000, false)),
    picture: true,
  },
  { what: "a group of a second", before: (at) => (at.key(), at.runs(1000, true)), picture: true },
  { what: "a group of 20 s", before: (at) => (at.key(), at.runs(20_000, true)), picture: true },
  { what: "a group of a minute", before: (at) => (at.key(), at.runs(60_000, true)), picture: false },
  {
    what: "times jump an hour ahead",
    before: (at) => (at.key(), at.runs(1000, true), at.timeMs += 3_600_000, at.runs(500, true)),
    picture: false,
  },
  {
    what: "times jump back to 0",
    before: (at) => (at.timeMs = 90_000, at.key(), at.runs(1000, true), at.timeMs = 0, at.runs(500, true)),
    picture: false,
  },
  {
    what: "times jump two seconds ahead",
    before: (at) => (at.key(), at.runs(1000, true), at.timeMs += 2000, at.runs(500, true)),
    picture: true,
  },
  {
    what: "times stand still while ours goes on",
    before: (at) => {
      at.key();
      for (let i = 0; i < 300; i++) (at.runs(20, false), at.timeMs = 0);
    },
    picture: false,
  },
  {
    what: "everything stopped, for a minute",
    before: (at) => (at.key(), at.runs(1000, true), at.clock.advance(60_000)),
    picture: false,
  },
  { what: "there are no pictures", before: (at) => at.runs(20_000, false), picture: false },
  {
    what: "pictures began after a minute of sound",
    before: (at) => (at.runs(60_000, false), at.key(), at.runs(400, true)),
    picture: true,
  },
  {
    what: "pictures stopped, and came again with a key frame",
    before: (at) => (at.key(), at.runs(10_000, false), at.key(), at.runs(400, true)),
    picture: true,
  },
];

for (const { what, before, picture: hasPicture } of SITUATIONS) {
  Deno.test(`late joiner: ${what}`, () => {
    const publisher = new Publisher();
    before(publisher);
    const got = publisher.joins();
    assert.deepEqual(got.slice(0, 2), ["started", "metadata 0"]);
    assert.deepEqual([got.some((line) => line.startsWith("avc1")), got.some((line) => /^aac/.test(line))], [
      true,
      true,
    ]);
    const frames = got.filter((line) => /^(?:key|picture|sound)/.test(line));
    assert.equal(frames.some((line) => line.startsWith("key")), hasPicture);
    if (hasPicture) assert.match(frames[0]!, /^key/);
    else assert.deepEqual(frames, [], "nothing of then");
    const lastMs = publisher.timeMs;
    for (const line of frames.filter((each) => each.startsWith("sound"))) {
      const timeMs = Number(line.split(" ")[1]);
      assert.ok(timeMs >= lastMs - 1100 && timeMs <= lastMs, `${line} at ${lastMs}`);
    }
  });
}

Deno.test("pictures of long ago are shown in fast motion, in the second before the sound", () => {
  const publisher = new Publisher();
  publisher.key();
  publisher.runs(20_000, true);
  const got = publisher.joins();
  const times = (kind: RegExp): number[] =>
    got.filter((line) => kind.test(line)).map((line) => Number(line.split(" ")[1]));
  const pictures = times(/^(?:key|picture)/);
  assert.equal(pictures.length, 500, "every one of them");
  assert.deepEqual(pictures, pictures.toSorted((a, b) => a - b));
  assert.ok(
    pictures[0]! >= 17_900 && times(/^sound/)[0]! >= 18_900,
    `${pictures[0]} and ${times(/^sound/)[0]}`,
  );
  assert.ok(times(/^avc1|^aac/).every((timeMs) => timeMs === pictures[0]));
  publisher.runs(80, true);
  assert.equal(publisher.timeMs, 20_080);
});

Deno.test("sound goes on at once for who joins without a picture", () => {
  const publisher = new Publisher();
  publisher.key();
  publisher.runs(10_000, false);
  const sink = new KeepingSink();
  publisher.streams.play("live/cam", sink);
  sink.take();
  publisher.runs(40, false);
  assert.deepEqual(sink.take(), ["sound 10000", "sound 10020"]);
});

Deno.test("configurations in the middle of a group are not lost with the sound around them", () => {
  const publisher = new Publisher();
  publisher.key();
  publisher.runs(1000, true);
  publisher.publication.put(8, publisher.timeMs, aacHeader(0x11));
  publisher.runs(4000, true);
  const sink = new KeepingSink();
  publisher.streams.play("live/cam", sink);
  const configs = sink.tags.filter(({ body }) => body[0] === 0xaf && body[1] === 0).map(({ body }) =>
    body[2]
  );
  assert.deepEqual(configs, [0x12, 0x11]);
});

const AVCC = "0142c01effe1000a6742c01eda0280bfe5c001000468ce3c80";

/** Streams of several tracks and of codecs beyond H.264: configurations, then a group of pictures, then another. */
const ENHANCED:
  readonly (readonly [what: string, configs: readonly string[], key: string, others: readonly string[]])[] = [
    ["HEVC", ["9068766331aa"], "9168766331000000bb", ["a168766331000000cc"]],
    ["HEVC without composition times", ["9068766331aa"], "9368766331bb", ["a368766331cc"]],
    ["AV1", ["9061763031aa"], "9161763031bb", ["a161763031cc"]],
    ["VP9", ["9076703039aa"], "9176703039bb", ["a176703039cc"]],
    ["VP8", ["9076703038aa"], "9176703038bb", ["a176703038cc"]],
    ["HEVC with colours", ["9068766331aa", "94687663310200"], "9168766331000000bb", ["a168766331000000cc"]],
    ["HEVC behind ModEx", ["97020000050068766331aa"], "97020000050168766331000000bb", [
      "a7020000050168766331000000cc",
    ]],
    ["two tracks", [`1700000000${AVCC}`, `96006176633101${AVCC}`], "1701000000bb", [
      "96016176633101000000bb",
      "2701000000cc",
      "a6016176633101000000cc",
    ]],
    [
      "two tracks in one tag",
      ["96106176633100000001aa01000001ab"],
      "96116176633100000004000000bb01000004000000bb",
      [
        "a6116176633100000004000000cc01000004000000cc",
      ],
    ],
    ["HEVC beside H.264", [`1700000000${AVCC}`, "96006876633101aa"], "1701000000bb", [
      "96016876633101000000bb",
      "2701000000cc",
    ]],
  ];

for (const [what, configs, key, others] of ENHANCED) {
  Deno.test(`late joiner of ${what}: every configuration, then the latest group from its key frame on`, () => {
    const publisher = new Publisher();
    publisher.publication.end();
    const outcome = publisher.streams.publish("live/cam");
    assert.ok(outcome.type === "publishing");
    const put = (hex: string, timeMs: number): void => outcome.publication.put(9, timeMs, fromHex(hex));
    for (const config of configs) put(config, 0);
    for (const timeMs of [0, 1000]) {
      put(key, timeMs);
      for (const other of others) put(other, timeMs);
    }
    const sink = new KeepingSink();
    publisher.streams.play("live/cam", sink);
    const got = sink.tags.map(({ body }) => body.toHex());
    assert.deepEqual(got, [...configs, key, ...others]);
    assert.deepEqual(new Set(sink.tags.map(({ timeMs }) => timeMs)), new Set([1000]));
  });
}

Deno.test("key pictures flagged as inter pictures are key frames for late joiners, players and losses", () => {
  for (const form of [avc, annexB]) {
    const publisher = new Publisher();
    const put = (timeMs: number, nals: Uint8Array[]): void =>
      publisher.publication.put(9, timeMs, concatBytes([fromHex("2701000000"), form(nals)]));
    for (let i = 0; i < 40; i++) put(i * 40, i % 20 === 0 ? [slice("I", 40)] : [slice("P", 30)]);
    const sink = new KeepingSink();
    publisher.streams.play("live/cam", sink);
    const pictures = sink.take().filter((line) => /^(?:key|picture)/.test(line));
    assert.deepEqual(pictures.slice(0, 2), ["key 800", "picture 840"]);
    assert.equal(pictures.length, 20);
    sink.slow = 1;
    put(1600, [slice("P", 30)]);
    sink.slow = 0;
    for (let i = 41; i < 62; i++) put(i * 40, i === 60 ? [slice("I", 40)] : [slice("P", 30)]);
    assert.deepEqual(sink.take(), ["key 2400", "picture 2440"]);
  }
});
