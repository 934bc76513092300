// Speex packets built bit by bit as text, for tests of the bit walk.
// Role: wire

import type { Random } from "../../lib/base/random.ts";

/** Bits of a core after its 5 header bits, by submode. */
export const CORE_PARAMETERS: readonly number[] = [0, 38, 114, 155, 215, 295, 359, 487, 74];
/** Bits of a layer after its 4 header bits, by submode. */
export const LAYER_PARAMETERS: readonly number[] = [0, 32, 108, 188, 348];

/** A narrowband core with random parameters, as "0" and "1". */
export function coreBits(submode: number, random: Random): string {
  return "0" + submode.toString(2).padStart(4, "0") + randomBits(CORE_PARAMETERS[submode]!, random);
}

/** A wideband layer with random parameters. */
export function layerBits(submode: number, random: Random): string {
  return "1" + submode.toString(2).padStart(3, "0") + randomBits(LAYER_PARAMETERS[submode]!, random);
}

/** Packs bits into octets, filled up with the terminator. */
export function packBits(bits: string): Uint8Array {
  const left = -bits.length & 7;
  const all = left === 0 ? bits : bits + "0".padEnd(left, "1");
  return Uint8Array.from({ length: all.length / 8 }, (_, i) => parseInt(all.slice(8 * i, 8 * i + 8), 2));
}

function randomBits(count: number, random: Random): string {
  let bits = "";
  while (bits.length < count) bits += (random.u16() & 1).toString();
  return bits;
}
