import assert from "node:assert/strict";
import fc from "fast-check";
import {
  agreedPacketizationMode,
  answerH264Fmtp,
  compatibleH264,
  describeH264,
  h264Mismatch,
  type H264Profile,
  parseH264Parameters,
  withLevelOf,
  withoutSprop,
} from "../../lib/sdp/h264_format.ts";

const PROFILES: [id: string, H264Profile][] = [
  ["42e01f", "constrained-baseline"],
  ["42C01E", "constrained-baseline"],
  ["4d801f", "constrained-baseline"],
  ["58c01f", "constrained-baseline"],
  ["420014", "baseline"],
  ["42801f", "baseline"],
  ["58801f", "baseline"],
  ["4d001f", "main"],
  ["4d401f", "main"],
  ["58001f", "extended"],
  ["640028", "high"],
  ["640c1f", "constrained-high"],
  ["6e0028", "other"],
];

Deno.test("H.264 format: profiles of RFC 6184 table 5", () => {
  for (const [id, profile] of PROFILES) {
    assert.equal(parseH264Parameters(`profile-level-id=${id}`).profile, profile, id);
  }
});

Deno.test("H.264 format: defaults for missing and broken parameters", () => {
  for (const fmtp of [null, "", "profile-level-id=42", "profile-level-id=xyzxyz;packetization-mode=7"]) {
    const parameters = parseH264Parameters(fmtp);
    assert.equal(parameters.profile, "baseline");
    assert.equal(parameters.level, 10);
    assert.equal(parameters.packetizationMode, 0);
    assert.deepEqual(parameters.parameterSets, []);
  }
});

Deno.test("H.264 format: level 1b is level 11 with constraint_set3 in the older profiles only", () => {
  assert.equal(parseH264Parameters("profile-level-id=42f00b").level, 9);
  assert.equal(parseH264Parameters("profile-level-id=42e00b").level, 11);
  assert.equal(parseH264Parameters("profile-level-id=64100b").level, 11);
});

const COMPATIBLE: [a: string, b: string, expected: boolean][] = [
  ["profile-level-id=420014;packetization-mode=1", "profile-level-id=42e01f;packetization-mode=1", true],
  ["profile-level-id=42e01f;packetization-mode=1", "profile-level-id=42e01f", true],
  ["profile-level-id=42e01f;packetization-mode=1", "profile-level-id=42e01f;packetization-mode=2", false],
  ["profile-level-id=42e01f;packetization-mode=2", "profile-level-id=42e00a;packetization-mode=2", true],
  ["profile-level-id=42e01f", "profile-level-id=4d001f", false],
  ["profile-level-id=42e01f", "profile-level-id=4d801f", true],
  ["profile-level-id=640028", "profile-level-id=640c28", false],
  ["profile-level-id=6e0028", "profile-level-id=6e0014", true],
  ["profile-level-id=6e0028", "profile-level-id=7a0028", false],
];

Deno.test("H.264 format: which two work together, whichever side is asked", () => {
  for (const [a, b, expected] of COMPATIBLE) {
    assert.equal(compatibleH264(a, b), expected, `${a} with ${b}`);
    assert.equal(compatibleH264(b, a), expected, `${b} with ${a}`);
  }
});

const ANSWERS: [offered: string | null, local: string | null, answer: string][] = [
  [
    "profile-level-id=42e01f;packetization-mode=1",
    "profile-level-id=420014;packetization-mode=1",
    "profile-level-id=42e014;packetization-mode=1",
  ],
  [
    "profile-level-id=42e01f",
    "profile-level-id=42e028;packetization-mode=1",
    "profile-level-id=42e01f;packetization-mode=0",
  ],
  [
    "profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1",
    "profile-level-id=42e028;level-asymmetry-allowed=1;packetization-mode=1;sprop-parameter-sets=Z0I=,aM4=",
    "profile-level-id=42e028;packetization-mode=1;level-asymmetry-allowed=1;sprop-parameter-sets=Z0I=,aM4=",
  ],
  // What siprtmp offers is answered so, though we offer more.
  [
    "profile-level-id=420014;packetization-mode=1",
    "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1",
    "profile-level-id=420014;packetization-mode=1",
  ],
  // Level 1b lies between 1.0 and 1.1.
  ["profile-level-id=42f00b", "profile-level-id=42e00a", "profile-level-id=42f00a;packetization-mode=0"],
  ["profile-level-id=42e00b", "profile-level-id=42f00b", "profile-level-id=42f00b;packetization-mode=0"],
  ["profile-level-id=42f00d", "profile-level-id=42e00b", "profile-level-id=42e00b;packetization-mode=0"],
  [null, "profile-level-id=42e01f;packetization-mode=1", "profile-level-id=42000a;packetization-mode=0"],
];

Deno.test("H.264 format: answers keep profile and mode, take the lower level (RFC 6184 8.2.2)", () => {
  for (const [offered, local, answer] of ANSWERS) assert.equal(answerH264Fmtp(offered, local), answer);
});

const LEVELS: [fmtp: string | null, sent: string, raised: string][] = [
  ["profile-level-id=42e01f;packetization-mode=1", "42c014", "profile-level-id=42e01f;packetization-mode=1"],
  ["profile-level-id=42e01f;packetization-mode=1", "42c01f", "profile-level-id=42e01f;packetization-mode=1"],
  ["profile-level-id=42e01f;packetization-mode=1", "640028", "profile-level-id=42e028;packetization-mode=1"],
  ["packetization-mode=1;profile-level-id=420014", "4d0033", "packetization-mode=1;profile-level-id=420033"],
  ["profile-level-id=42f00b", "42e00b", "profile-level-id=42e00b"],
  ["profile-level-id=42e00a", "42f00b", "profile-level-id=42f00b"],
  [null, "42c01e", "profile-level-id=42001e"],
  [null, "no hex", ""],
];

Deno.test("H.264 format: the level that allows for what is sent", () => {
  for (const [fmtp, sent, raised] of LEVELS) assert.equal(withLevelOf(fmtp, sent), raised, `${fmtp} ${sent}`);
});

Deno.test("H.264 format: parameter sets are taken out, all else stays as it is", () => {
  assert.equal(withoutSprop("a=1; sprop-parameter-sets=Z0I=,aM4=;b"), "a=1;b");
  assert.equal(withoutSprop("a=1; b"), "a=1; b");
  assert.equal(withoutSprop(null), null);
});

Deno.test("H.264 format: the agreed packetization mode is the lower one", () => {
  assert.equal(agreedPacketizationMode("packetization-mode=1", "packetization-mode=1"), 1);
  assert.equal(agreedPacketizationMode("packetization-mode=1", null), 0);
  assert.equal(agreedPacketizationMode(null, "packetization-mode=1"), 0);
});

Deno.test("H.264 format: an answer always works together with the offer it answers", () => {
  const id = fc.tuple(fc.constantFrom(0x42, 0x4d, 0x58, 0x64), fc.nat(255), fc.nat(62)).map(
    ([idc, iop, level]) => (idc << 16 | iop << 8 | level).toString(16).padStart(6, "0"),
  );
  const mode = fc.nat(1);
  fc.assert(fc.property(id, id, mode, mode, (offered, local, offeredMode, localMode) => {
    const offer = `profile-level-id=${offered};packetization-mode=${offeredMode}`;
    const ours = `profile-level-id=${local};packetization-mode=${localMode}`;
    const answer = answerH264Fmtp(offer, ours);
    const parameters = parseH264Parameters(answer);
    assert.equal(parameters.packetizationMode, offeredMode);
    const rank = (level: number) => level === 9 ? 10.5 : level;
    assert.ok(rank(parameters.level) <= rank(parseH264Parameters(offer).level));
    assert.equal(parameters.profile, parseH264Parameters(offer).profile);
    assert.ok(compatibleH264(offer, answer));
  }));
});

const MISMATCHES: [sent: string, taken: string, mismatch: string | null][] = [
  ["42e01f", "42e01f", null],
  ["42c01e", "420014", "level"],
  ["42c014", "42e01f", null],
  ["42001e", "42e01e", null],
  ["42e01e", "4d001f", null],
  ["42e01e", "64001f", null],
  ["4d001e", "42e01f", "profile"],
  ["64001e", "4d001f", "profile"],
  ["4d001e", "640028", null],
  ["64001f", "64001e", "level"],
  ["640c1f", "64001f", null],
  ["64001f", "640c1f", "profile"],
  ["6e001f", "6e001f", null],
  ["6e001f", "7a001f", "profile"],
  // level 1b is above 1.0 and below 1.1
  ["42f00b", "42e00a", "level"],
  ["42f00b", "42e00b", null],
];

Deno.test("H.264 format: what keeps a decoder from a stream, its profile or its level", () => {
  for (const [sent, taken, mismatch] of MISMATCHES) {
    const [a, b] = [sent, taken].map((id) => parseH264Parameters(`profile-level-id=${id}`));
    assert.equal(h264Mismatch(a!, b!), mismatch, `${sent} to ${taken}`);
  }
});

Deno.test("H.264 format: profile and level in words", () => {
  const words = (id: string) => describeH264(parseH264Parameters(`profile-level-id=${id}`));
  assert.deepEqual(["42e01f", "640028", "42f00b", "6e0014"].map(words), [
    "constrained-baseline 3.1 (42e01f)",
    "high 4.0 (640028)",
    "constrained-baseline 1b (42f00b)",
    "profile 110 2.0 (6e0014)",
  ]);
});
