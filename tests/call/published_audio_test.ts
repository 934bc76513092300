// The configuration of AAC is kept, and nothing else.
import assert from "node:assert/strict";
import { PublishedAudio } from "../../lib/call/published_audio.ts";

const BODIES: [body: string, config: boolean][] = [
  ["af001210", true],
  ["af0121", false],
  ["af00", false],
  ["906d7034611210", true],
  ["916d70346121", false],
  ["906d703461", false],
  ["904f707573", false],
  ["b20011", false],
  ["82", false],
  ["", false],
];

Deno.test("an AudioSpecificConfig is told from frames, in both forms of RTMP", () => {
  for (const [body, config] of BODIES) {
    const published = new PublishedAudio();
    published.note({ type: 8, timeMs: 0, body: Uint8Array.fromHex(body) });
    assert.equal(published.config !== null, config, body);
  }
});

Deno.test("the last configuration is kept as a copy, until another publisher comes", () => {
  const published = new PublishedAudio();
  const body = Uint8Array.fromHex("af001210");
  published.note({ type: 8, timeMs: 5, body });
  published.note({ type: 8, timeMs: 9, body: Uint8Array.fromHex("af0121") });
  published.note({ type: 9, timeMs: 9, body: Uint8Array.fromHex("af00ff") });
  body.fill(0);
  assert.deepEqual(published.config, { type: 8, timeMs: 5, body: Uint8Array.fromHex("af001210") });
  const large = new Uint8Array(100);
  large[0] = 0xaf;
  published.note({ type: 8, timeMs: 5, body: large });
  assert.equal(published.config?.body.length, 4);
  published.forget();
  assert.equal(published.config, null);
});
