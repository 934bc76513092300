import assert from "node:assert/strict";
import {
  answerWarning,
  B_FRAMES,
  codecWarning,
  levelOf,
  type MediaWarning,
  MediaWarnings,
  profileWarning,
  remoteProfileWarning,
  unsentWarning,
  videoWarning,
} from "../../lib/call/media_warnings.ts";
import type { H264Chain } from "../../lib/call/negotiation.ts";

const OURS = "profile-level-id=420014;packetization-mode=1";

function chain(fmtp: string | null): H264Chain {
  return {
    kind: "h264",
    mode: 1,
    fmtp,
    sprop: null,
    localFmtp: OURS,
    rtcpFb: [],
    sendPayloadType: 99,
    receivePayloadTypes: [99],
  };
}

const SENT: [name: string, sent: string, fmtp: string | null, word: RegExp | null][] = [
  ["what the remote party takes is no warning", "42c01e", "profile-level-id=42e01f", null],
  ["nor is anything for one that names no profile", "64001f", "packetization-mode=1", null],
  ["nor for one without parameters", "64001f", null, null],
  [
    "a profile above the remote party's",
    "64001f",
    "profile-level-id=42e01f",
    /high 3\.1 .*constrained-baseline 3\.1/,
  ],
  ["a level above the remote party's", "42c01e", "profile-level-id=420014", /3\.0 .*2\.0 .*lower the level/],
];

for (const [name, sent, fmtp, word] of SENT) {
  Deno.test(`the client's profile: ${name}`, () => {
    const warning = profileWarning(sent, chain(fmtp));
    if (word === null) return assert.equal(warning, null);
    assert.match(warning!.text, word);
    assert.equal(warning!.status, "NetStream.Publish.ProfileMismatch");
  });
}

Deno.test("another codec than H.264 is told to the publisher by name", () => {
  assert.match(codecWarning("h263").text, /Sorenson H\.263, negotiated is H\.264/);
  assert.match(codecWarning("unknown").text, /unknown codec/);
  assert.equal(codecWarning("unknown").status, "NetStream.Publish.UnsupportedCodec");
  assert.equal(levelOf(codecWarning("unknown")), "error");
});

Deno.test("the remote party's profile: only another profile is a warning, and none of the publisher's", () => {
  assert.equal(remoteProfileWarning("42e028", chain(null)), null);
  const warning = remoteProfileWarning("64001f", chain(null));
  assert.match(warning!.text, /high 3\.1 \(64001f\), negotiated is baseline 2\.0 \(420014\)/);
  assert.equal(warning!.status, null);
});

Deno.test("an answer with another profile than our offer's is named, one with another level is not", () => {
  assert.equal(answerWarning(chain(null)), null);
  assert.equal(answerWarning(chain("profile-level-id=42e01f")), null);
  assert.match(answerWarning(chain("profile-level-id=64001f"))!.text, /answers with H.264 high/);
});

Deno.test("each warning is told once, and a peer that invents new ones is not listened to for ever", () => {
  const told: MediaWarning[] = [];
  const book = new MediaWarnings((warning) => void told.push(warning));
  book.note(null);
  book.note(B_FRAMES);
  book.note({ ...B_FRAMES });
  assert.deepEqual(told, [B_FRAMES]);
  for (let i = 0; i < 100; i++) book.log(`warning ${i}`);
  assert.equal(told.length, 16);
});

Deno.test("of one kind with several details the first is told", () => {
  const told: string[] = [];
  const book = new MediaWarnings(({ text }) => void told.push(text));
  book.log("broken", "at 1");
  book.log("broken", "at 2");
  assert.deepEqual(told, ["broken: at 1"]);
});

Deno.test("what does not end the call is a warning, and an internal error nothing for the publisher", () => {
  assert.equal(levelOf(videoWarning("hevc")), "warning");
  assert.equal(levelOf(B_FRAMES), "warning");
  for (const reason of ["unreadable", "too large", "no key frame", "no parameter sets"] as const) {
    const warning = unsentWarning(reason);
    assert.ok(warning !== null && levelOf(warning) === "warning" && warning.status !== null, reason);
  }
  assert.equal(unsentWarning("codec"), null);
});
