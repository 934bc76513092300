import assert from "node:assert/strict";
import {
  answerTrouble,
  B_FRAMES,
  codecTrouble,
  levelOf,
  type LineTrouble,
  peerProfileTrouble,
  pictureTrouble,
  profileTrouble,
  TroubleBook,
  unsentTrouble,
} from "../../lib/call/line_trouble.ts";
import type { H264Chain } from "../../lib/call/video_choice.ts";

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
  ["what the far end takes is no trouble", "42c01e", "profile-level-id=42e01f", null],
  ["nor is anything for one that names no profile", "64001f", "packetization-mode=1", null],
  ["nor for one without parameters", "64001f", null, null],
  [
    "a profile above the far end's",
    "64001f",
    "profile-level-id=42e01f",
    /high 3\.1 .*constrained-baseline 3\.1/,
  ],
  ["a level above the far end's", "42c01e", "profile-level-id=420014", /3\.0 .*2\.0 .*lower the level/],
];

for (const [name, sent, fmtp, word] of SENT) {
  Deno.test(`the client's profile: ${name}`, () => {
    const trouble = profileTrouble(sent, chain(fmtp));
    if (word === null) return assert.equal(trouble, null);
    assert.match(trouble!.text, word);
    assert.equal(trouble!.status, "NetStream.Publish.ProfileMismatch");
  });
}

Deno.test("another codec than H.264 is told to the publisher by name", () => {
  assert.match(codecTrouble("h263").text, /Sorenson H\.263 where H\.264/);
  assert.match(codecTrouble("unknown").text, /unknown here/);
  assert.equal(codecTrouble("unknown").status, "NetStream.Publish.UnsupportedCodec");
  assert.equal(levelOf(codecTrouble("unknown")), "error");
});

Deno.test("the far end's profile: only another profile is a trouble, and none of the publisher's", () => {
  assert.equal(peerProfileTrouble("42e028", chain(null)), null);
  const trouble = peerProfileTrouble("64001f", chain(null));
  assert.match(trouble!.text, /high 3\.1 \(64001f\), although baseline 2\.0 \(420014\)/);
  assert.equal(trouble!.status, null);
});

Deno.test("an answer with another profile than our offer's is named, one with another level is not", () => {
  assert.equal(answerTrouble(chain(null)), null);
  assert.equal(answerTrouble(chain("profile-level-id=42e01f")), null);
  assert.match(answerTrouble(chain("profile-level-id=64001f"))!.text, /answers with H.264 high/);
});

Deno.test("each trouble is told once, and a peer that invents new ones is not listened to for ever", () => {
  const told: LineTrouble[] = [];
  const book = new TroubleBook((trouble) => void told.push(trouble));
  book.note(null);
  book.note(B_FRAMES);
  book.note({ ...B_FRAMES });
  assert.deepEqual(told, [B_FRAMES]);
  for (let i = 0; i < 100; i++) book.log(`trouble ${i}`);
  assert.equal(told.length, 16);
});

Deno.test("of one kind with several details the first is told", () => {
  const told: string[] = [];
  const book = new TroubleBook(({ text }) => void told.push(text));
  book.log("broken", "at 1");
  book.log("broken", "at 2");
  assert.deepEqual(told, ["broken: at 1"]);
});

Deno.test("what does not end the call is a warning, and a fault of ours nothing for the publisher", () => {
  assert.equal(levelOf(pictureTrouble("hevc")), "warning");
  assert.equal(levelOf(B_FRAMES), "warning");
  for (const reason of ["unreadable", "too large", "no key frame", "no parameter sets"] as const) {
    const trouble = unsentTrouble(reason);
    assert.ok(trouble !== null && levelOf(trouble) === "warning" && trouble.status !== null, reason);
  }
  assert.equal(unsentTrouble("codec"), null);
});
