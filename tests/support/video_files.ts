// H.264 for tests against a real encoder and decoder: FLV files made by ffmpeg, and what it decodes of others,
// frame by frame.
// Role: edge

import { ByteWriter } from "../../lib/base/bytes.ts";
import { encodeFlvHeader, encodeFlvTag } from "../../lib/flv/tag.ts";
import type { ClientStream } from "../../lib/rtmp/client.ts";
import { runProgram } from "./media_programs.ts";
import type { KeptTag } from "./rtmp_server.ts";

/** What is made: 25 pictures a second with a counter in them. */
export interface VideoOptions {
  readonly seconds: number;
  /** "176x144" unless given. */
  readonly size?: string;
  /** Pictures from one key frame to the next; 25 unless given. */
  readonly gop?: number;
  /** Slices of each picture; 1 unless given. */
  readonly slices?: number;
  /** B frames in a row; none unless given. */
  readonly bFrames?: number;
  /** "baseline" unless given. */
  readonly profile?: "baseline" | "main" | "high";
  /** With a Speex tone beside the pictures. */
  readonly audio?: boolean;
}

/** Pictures a second. */
export const FPS = 25;
const NO_INPUT = { input: new Uint8Array(0), inputName: "none" };

/** An FLV file with moving pictures; what is random in the encoder is switched off. */
export function videoFlv(options: VideoOptions): Promise<Uint8Array> {
  const { seconds, size = "176x144", gop = 25, slices = 1, bFrames = 0, profile = "baseline", audio = true } =
    options;
  const pictures = ["-f", "lavfi", "-i", `testsrc2=size=${size}:rate=${FPS}:duration=${seconds}`];
  const tone = ["-f", "lavfi", "-i", `sine=frequency=440:sample_rate=16000:duration=${seconds}`];
  const x264 = `keyint=${gop}:min-keyint=${gop}:scenecut=0:slices=${slices}:sliced-threads=0:threads=1`;
  const video = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "30", "-profile:v", profile];
  const frames = ["-bf", String(bFrames), "-pix_fmt", "yuv420p", "-x264-params", x264];
  const speex = audio ? ["-c:a", "libspeex", "-ar", "16000", "-ac", "1"] : [];
  const args = ["-v", "error", ...pictures, ...(audio ? tone : []), ...video, ...frames, ...speex, "out.flv"];
  return runProgram("ffmpeg", args, { ...NO_INPUT, outputName: "out.flv" });
}

/** The hash of each picture that ffmpeg decodes from an FLV file; strict: it must not complain. */
export async function pictureHashes(file: Uint8Array, strict = true): Promise<string[]> {
  const careful = strict ? ["-xerror", "-err_detect", "explode"] : [];
  const args = ["-v", "error", ...careful, "-i", "in.flv", "-map", "0:v", "-fps_mode", "passthrough"];
  const files = { input: file, inputName: "in.flv", outputName: "out.txt" };
  const text = await runProgram("ffmpeg", [...args, "-f", "framemd5", "out.txt"], files);
  const lines = new TextDecoder().decode(text).split("\n").filter((line) => /^\d/.test(line));
  return lines.map((line) => line.split(",").at(-1)!.trim());
}

/** The FLV file of some tags; times begin with the first. */
export function videoFlvOf(tags: readonly KeptTag[]): Uint8Array {
  const writer = new ByteWriter(1 << 20);
  encodeFlvHeader(writer, { audio: tags.some((tag) => tag.type === 8), video: true });
  const firstMs = tags[0]?.timeMs ?? 0;
  for (const { type, timeMs, body } of tags) encodeFlvTag(writer, type, Math.max(0, timeMs - firstMs), body);
  return writer.take();
}

/** True for a decoder configuration. */
export function isConfig(tag: KeptTag): boolean {
  return tag.type === 9 && (tag.body[0]! & 15) === 7 && tag.body[1] === 0;
}

/** True for a key frame. */
export function isKey(tag: KeptTag): boolean {
  return tag.type === 9 && tag.body[0] === 0x17 && tag.body[1] === 1;
}

/** True for a coded picture. */
export function isPicture(tag: KeptTag): boolean {
  return tag.type === 9 && (tag.body[0]! & 15) === 7 && tag.body[1] === 1;
}

/** Publishes tags at their times, without the metadata. */
export async function publishTags(stream: ClientStream, tags: readonly KeptTag[]): Promise<void> {
  const begunMs = performance.now();
  for (const { type, timeMs, body } of tags) {
    const waitMs = begunMs + timeMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (type !== 18) stream.send(type, timeMs, body);
  }
}

/** A picture that ffmpeg decoded, with its time in the file. */
export interface DecodedPicture {
  readonly timeMs: number;
  readonly hash: string;
}

/** As {@link pictureHashes} for a file with holes, with times; whatever ffmpeg complains about is left out. */
export async function decodedPictures(file: Uint8Array): Promise<DecodedPicture[]> {
  const times = ["-fps_mode", "passthrough", "-enc_time_base", "1:1000"];
  const args = ["-v", "quiet", "-i", "in.flv", "-map", "0:v", ...times, "-f", "framemd5", "out.txt"];
  const text = await runProgram("ffmpeg", args, { input: file, inputName: "in.flv", outputName: "out.txt" });
  const lines = new TextDecoder().decode(text).split("\n").filter((line) => /^\d/.test(line));
  return lines.map((line) => {
    const fields = line.split(",").map((field) => field.trim());
    return { timeMs: Number(fields[2]), hash: fields.at(-1)! };
  });
}
