import assert from "node:assert/strict";
import { concatBytes, fromHex } from "../../lib/base/bytes.ts";
import { PublishedVideo } from "../../lib/call/published_video.ts";
import type { MediaMessage } from "../../lib/rtmp/message.ts";
import { parseH264Parameters } from "../../lib/sdp/h264_format.ts";
import { mediaFormat } from "../../lib/sdp/media_format.ts";
import { createOffer } from "../../lib/sdp/offer_answer.ts";
import { CONFIG, PPS, SPS } from "../support/media_h264.ts";
import { mutate } from "../support/mutate.ts";

const FMTP = "profile-level-id=420014;packetization-mode=1";
const H264 = mediaFormat(99, "H264", 90_000, { fmtp: FMTP });
const SPROP = `sprop-parameter-sets=${SPS.toBase64()},${PPS.toBase64()}`;

const message = (body: Uint8Array, type: 8 | 9 = 9): MediaMessage => ({ type, timeMs: 7, body });
const config = (): Uint8Array => concatBytes([fromHex("1700000000"), CONFIG]);

function isVideoConfig(body: Uint8Array): boolean {
  const published = new PublishedVideo();
  published.note(message(body));
  return published.config !== null;
}

Deno.test("a configuration is told from pictures, other codecs and what is cut off", () => {
  assert.equal(isVideoConfig(config()), true);
  assert.equal(isVideoConfig(concatBytes([fromHex("9061766331"), CONFIG])), true, "Enhanced RTMP");
  for (const hex of ["9161766331aa", "9068766331aa", "9061766331"]) {
    assert.equal(isVideoConfig(fromHex(hex)), false, hex);
  }
  for (const hex of ["", "1700000000", "170100000000", "1200000000aa", "2701000000aa"]) {
    assert.equal(isVideoConfig(fromHex(hex)), false, hex);
  }
});

Deno.test("nothing is known at first; then our formats name the parameter sets, and forget them", () => {
  const published = new PublishedVideo();
  const kept = () => published.config?.body ?? null;
  assert.equal(kept(), null);
  assert.equal(published.described(H264).fmtp, FMTP);
  const body = config();
  published.note(message(body));
  body.fill(0); // borrowed
  assert.deepEqual(kept(), config());
  const described = published.described(H264);
  assert.equal(
    described.fmtp,
    `${FMTP.replace("420014", "42001e")};${SPROP}`,
    "the level is what is published",
  );
  assert.deepEqual(parseH264Parameters(described.fmtp).parameterSets, [SPS.toBase64(), PPS.toBase64()]);
  published.forget();
  assert.equal(published.described(H264).fmtp, FMTP);
  assert.equal(published.described(described).fmtp, FMTP.replace("420014", "42001e"));
  assert.equal(kept(), null);
});

Deno.test("a level of ours that is high enough stays, and so does one that was agreed", () => {
  const published = new PublishedVideo();
  published.note(message(config()));
  const high = { ...H264, fmtp: "profile-level-id=42e01f;packetization-mode=1" };
  assert.equal(published.described(high).fmtp, `${high.fmtp};${SPROP}`);
  const session = { address: "192.0.2.1", sessionId: 1, sessionVersion: 1 };
  const agreed = createOffer({ ...session, media: [{ kind: "video", port: 9, formats: [H264] }] });
  assert.equal(published.describedIn(agreed).media[0]!.formats[0]!.fmtp, `${FMTP};${SPROP}`);
});

Deno.test("other formats, and other messages, change nothing", () => {
  const published = new PublishedVideo();
  published.note(message(config(), 8));
  published.note(message(fromHex("17010000000000000165")));
  assert.equal(published.config, null);
  published.note(message(config()));
  const flv = mediaFormat(97, "x-flv", 90_000);
  assert.deepEqual(published.described(flv), flv);
});

Deno.test("in a whole description every H.264 format has them", () => {
  const published = new PublishedVideo();
  published.note(message(config()));
  const description = createOffer({
    address: "192.0.2.1",
    sessionId: 1,
    sessionVersion: 1,
    media: [
      { kind: "audio", port: 4000, formats: [mediaFormat(0, "PCMU", 8000)] },
      { kind: "video", port: 4002, formats: [H264, mediaFormat(97, "x-flv", 90_000)] },
    ],
  });
  const fmtps = published.describedIn(description).media.map((section) =>
    section.formats.map(({ fmtp }) => fmtp)
  );
  assert.deepEqual(fmtps, [[null], [`${FMTP};${SPROP}`, null]]);
});

Deno.test("a damaged or endless configuration is kept for the player at most, and never thrown about", () => {
  for (let seed = 0; seed < 500; seed++) {
    const published = new PublishedVideo();
    published.note(message(mutate(config(), seed)));
    const { parameterSets } = parseH264Parameters(published.described(H264).fmtp);
    assert.ok(parameterSets.every((set) => /^[A-Za-z0-9+/]+=*$/.test(set)));
  }
  const published = new PublishedVideo();
  published.note(message(concatBytes([config(), new Uint8Array(4000)])));
  assert.equal(published.config, null);
});
