// FLV tags and files for tests of recording and relaying: right first bytes, recognizable contents.

import { ByteWriter } from "../../lib/base/bytes.ts";
import { encodeFlvHeader, encodeFlvTag } from "../../lib/flv/tag.ts";

/** One tag with its own body. */
export interface TestTag {
  readonly type: 8 | 9 | 18;
  readonly timeMs: number;
  readonly body: Uint8Array;
}

/** Decoder configuration of H.264; `version` tells several apart. */
export function avcHeader(version = 1): Uint8Array {
  return Uint8Array.of(0x17, 0, 0, 0, 0, version);
}

/** Decoder configuration of AAC. */
export function aacHeader(version = 0x12): Uint8Array {
  return Uint8Array.of(0xaf, 0, version, 0x10);
}

/** A coded picture of `length` bytes. */
export function picture(key: boolean, length = 20, mark = 0): Uint8Array {
  const body = new Uint8Array(Math.max(6, length)).fill(mark);
  body.set([key ? 0x17 : 0x27, 1, 0, 0, 0]);
  return body;
}

/** Coded AAC. */
export function sound(mark = 0): Uint8Array {
  return Uint8Array.of(0xaf, 1, mark);
}

/** Speex, which needs no configuration. */
export function speech(mark = 0): Uint8Array {
  return Uint8Array.of(0xb2, mark);
}

/** Headers, then a picture every 40 ms with a key frame every `gop` pictures, and AAC every 20 ms. */
export function film(durationMs: number, gop = 25): TestTag[] {
  const tags: TestTag[] = [
    { type: 9, timeMs: 0, body: avcHeader() },
    { type: 8, timeMs: 0, body: aacHeader() },
  ];
  let n = 0;
  for (let timeMs = 0; timeMs <= durationMs; timeMs += 20) {
    if (timeMs % 40 === 0) tags.push({ type: 9, timeMs, body: picture(n % gop === 0, 30, n++ & 255) });
    tags.push({ type: 8, timeMs, body: sound(timeMs / 20 & 255) });
  }
  return tags;
}

/** A file of these tags only, as a program without metadata would write it. */
export function flvFile(tags: readonly TestTag[]): Uint8Array {
  const writer = new ByteWriter();
  encodeFlvHeader(writer, { audio: true, video: true });
  for (const { type, timeMs, body } of tags) encodeFlvTag(writer, type, timeMs, body);
  return writer.take();
}

/** Runs with a fresh folder, which is removed afterwards. */
export async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
