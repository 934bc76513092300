// `siprtmp codecs`: what every codec makes of one second of a fixed signal, as sums. Equal sums on two machines mean that both
// code alike: a way to tell whether a new kind of processor does it right.
// Role: edge

import { concatBytes, toHex } from "../base/bytes.ts";
import type { Codec } from "../codecs/codec.ts";
import type { Codecs } from "../codecs/codecs.ts";

const SIGNAL_MS = 1000;
/** Digits of a SHA-256 that are shown. */
const SHOWN = 16;

export async function formatCodecSums(codecs: Codecs): Promise<string> {
  const rows = [["codec", "rate", "packets", "coded", "decoded"]];
  for (const codec of codecs.registry.codecs) {
    if (codecs.transcodable.has(codec.name)) rows.push(await rowOf(codec, codecs));
  }
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd()).join(
    "\n",
  );
}

async function rowOf(codec: Codec, codecs: Codecs): Promise<string[]> {
  const format = { codec: codec.name, sampleRate: rateOf(codec) };
  using encoder = codecs.createEncoder(format, format.sampleRate);
  using decoder = encoder.config === undefined
    ? codecs.createDecoder(format, format.sampleRate)
    : codecs.createConfigured(format, encoder.config);
  const coded: Uint8Array[] = [];
  const decoded: Uint8Array[] = [];
  const signal = fixedSignal(format.sampleRate);
  for (let at = 0; at + encoder.frameSamples <= signal.length; at += encoder.frameSamples) {
    const packet = encoder.encode(signal.subarray(at, at + encoder.frameSamples)).slice();
    coded.push(packet);
    decoded.push(littleEndian(decoder.decode(packet)));
  }
  const [sum, heard] = await Promise.all([sumOf(coded), sumOf(decoded)]);
  return [codec.name, String(format.sampleRate), String(coded.length), sum, heard];
}

function rateOf({ transcode }: Codec): number {
  return transcode?.client?.sampleRate ?? transcode?.sampleRate ?? 8000;
}

/** A rising saw-tooth with noise, in whole numbers: no processor rounds it another way. */
function fixedSignal(sampleRate: number): Int16Array {
  const samples = new Int16Array(sampleRate * SIGNAL_MS / 1000);
  let phase = 0;
  let noise = 1;
  for (let i = 0; i < samples.length; i++) {
    phase = (phase + Math.trunc((100 + 400 * i / samples.length) * 65536 / sampleRate)) & 0xffff;
    noise = (Math.imul(noise, 1103515245) + 12345) >>> 0;
    samples[i] = (phase - 32768 >> 2) + ((noise >>> 16 & 0xffff) - 32768 >> 6);
  }
  return samples;
}

function littleEndian(samples: Int16Array): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(2 * samples.length));
  samples.forEach((sample, i) => bytes.setInt16(2 * i, sample, true));
  return new Uint8Array(bytes.buffer);
}

async function sumOf(pieces: readonly Uint8Array[]): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", concatBytes(pieces).slice());
  return toHex(new Uint8Array(hash)).slice(0, SHOWN);
}
