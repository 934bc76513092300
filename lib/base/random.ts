// Randomness as an argument: tags, branches, SSRCs, nonces. Tests give a seed.
// systemRandom is fit for secrets (RFC 3261 19.3 asks for cryptographically random tags);
// seededRandom is not and exists for tests and repeatable simulations.
// Role: wire

/** A source of random values. */
export interface Random {
  /** Unsigned 32 bits. */
  u32(): number;
  /** Unsigned 16 bits. */
  u16(): number;
  /** At least 0, below 1. */
  float(): number;
  /** `length` characters of [a-z0-9]. */
  token(length: number): string;
  /** `count` fresh bytes. */
  bytes(count: number): Uint8Array;
}

const TOKEN_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789";

/** 7 * 36: random bytes from here on would favour the first characters, so they are thrown away. */
const TOKEN_BYTE_LIMIT = 252;

function randomFrom(u32: () => number): Random {
  const token = (length: number): string => {
    const codes: number[] = [];
    while (codes.length < length) {
      const byte = u32() >>> 24;
      if (byte < TOKEN_BYTE_LIMIT) codes.push(TOKEN_CHARACTERS.charCodeAt(byte % 36));
    }
    return String.fromCharCode(...codes); // made at once: a text grown by letters is a list of its parts in memory
  };
  const bytes = (count: number): Uint8Array => {
    const result = new Uint8Array(count);
    for (let i = 0; i < count; i++) result[i] = u32() >>> 24;
    return result;
  };
  return { u32, u16: () => u32() >>> 16, float: () => u32() / 0x1_0000_0000, token, bytes };
}

function systemU32(): () => number {
  const pool = new Uint32Array(256);
  let used = pool.length;
  return () => {
    if (used === pool.length) {
      crypto.getRandomValues(pool);
      used = 0;
    }
    return pool[used++]!;
  };
}

/** Unpredictable values from the operating system. */
export const systemRandom: Random = randomFrom(systemU32());

/** Repeatable values: the same seed gives the same sequence. Not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return randomFrom(() => {
    // A Weyl sequence through a 32-bit mixing function.
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ state >>> 16, 0x21f0aaad);
    mixed = Math.imul(mixed ^ mixed >>> 15, 0x735a2d97);
    return (mixed ^ mixed >>> 15) >>> 0;
  });
}
