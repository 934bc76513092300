// What a trial call sends: the built-in sample, or the audio tags of an FLV file, one RTMP message at a time
// with its time.
// Role: edge

import { messageOf, TransportError, WireError } from "../../base/errors.ts";
import { FlvReader } from "../../flv/file.ts";
import { SAMPLE_BLOCK_MS, SampleSource } from "../../media/sample.ts";

/** One audio message: FLV tag body and its time. */
export interface AudioMessage {
  /** When to send it, ms from the start. */
  readonly timeMs: number;
  /** FLV tag body, its own bytes. */
  readonly body: Uint8Array;
}

/** FLV tag header bytes of the codecs a trial can send, for RTMP (behaviour.md 1.8). */
const TAG_BYTE = { speex: 0xb2, pcmu: 0x82, pcma: 0x72 };

/** Codecs the built-in sample comes in. */
export type SampleCodec = "speex" | "pcmu" | "pcma";

/** The built-in sample for `durationSeconds`, in blocks of 20 ms. */
export async function* sampleMessages(
  codec: SampleCodec,
  durationSeconds: number,
): AsyncGenerator<AudioMessage, void, void> {
  const source = new SampleSource(codec);
  for (let timeMs = 0; timeMs < durationSeconds * 1000; timeMs += SAMPLE_BLOCK_MS) {
    const block = source.next();
    const body = new Uint8Array(block.length + 1);
    body[0] = TAG_BYTE[codec];
    body.set(block, 1);
    yield { timeMs, body };
  }
}

/** The audio tags of an FLV file, times from 0. TransportError with the path when it cannot be read, or is none. */
export async function* fileMessages(path: string, seconds: number): AsyncGenerator<AudioMessage, void, void> {
  try {
    yield* audioTags(path, seconds);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new TransportError(`${path} cannot be sent: ${messageOf(error)}`, "failed", { cause: error });
  }
}

async function* audioTags(path: string, seconds: number): AsyncGenerator<AudioMessage, void, void> {
  using reader = await FlvReader.open(path);
  let firstMs: number | null = null;
  for await (const tag of reader.tags()) {
    if (tag.type !== 8 || tag.body.length < 2) continue;
    firstMs ??= tag.timeMs;
    if (tag.timeMs - firstMs >= seconds * 1000) return;
    yield { timeMs: tag.timeMs - firstMs, body: tag.body.slice() };
  }
}
