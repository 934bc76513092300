// Seeded damage for decoders: the same seed makes the same broken bytes.
// Role: wire

import { seededRandom } from "../../lib/base/random.ts";

/** A damaged copy of `bytes`: 1 to 4 bit flips, overwrites, cuts, insertions or repeats, decided by `seed`. */
export function mutate(bytes: Uint8Array, seed: number): Uint8Array {
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random.float() * limit);
  let result: Uint8Array = bytes.slice();
  for (let left = 1 + below(4); left > 0; left--) result = damage(result, below);
  return result;
}

function damage(bytes: Uint8Array, below: (limit: number) => number): Uint8Array {
  const at = below(bytes.length + 1);
  const length = 1 + below(8);
  switch (below(5)) {
    case 0:
      return replaced(bytes, at, 1, [bytes[at]! ^ 1 << below(8)]);
    case 1:
      return replaced(bytes, at, 1, [[0x00, 0xff, 0x7f, 0x80, 0x0d, 0x0a][below(6)]!]);
    case 2:
      return replaced(bytes, at, length, []);
    case 3:
      return replaced(bytes, at, 0, Array.from({ length }, () => below(256)));
    default:
      return replaced(bytes, at, 0, bytes.slice(at, at + 4 * length));
  }
}

function replaced(bytes: Uint8Array, at: number, removed: number, inserted: ArrayLike<number>): Uint8Array {
  const tail = bytes.subarray(Math.min(at + removed, bytes.length));
  const result = new Uint8Array(at + inserted.length + tail.length);
  result.set(bytes.subarray(0, at));
  result.set(inserted, at);
  result.set(tail, at + inserted.length);
  return result;
}
