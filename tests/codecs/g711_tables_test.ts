// G.711: values of the standard, both ways, both laws, nearest level.
import assert from "node:assert/strict";
import {
  alawToLinear,
  alawToUlaw,
  decodeG711,
  encodeG711,
  G711_SILENCE,
  linearToAlaw,
  linearToUlaw,
  ulawToAlaw,
  ulawToLinear,
} from "../../lib/codecs/g711_tables.ts";

const ULAW: readonly (readonly [octet: number, sample: number])[] = [
  [0x00, -32124],
  [0x80, 32124],
  [0xff, 0],
  [0xfe, 8],
  [0x7e, -8],
  [0xf0, 120],
  [0xef, 132],
  [0x8f, 16764],
];
const ALAW: readonly (readonly [octet: number, sample: number])[] = [
  [0xd5, 8],
  [0x55, -8],
  [0xd4, 24],
  [0xaa, 32256],
  [0x2a, -32256],
  [0xc5, 264],
  [0x80, 5504],
];

Deno.test("u-law table", () => {
  for (const [octet, sample] of ULAW) {
    assert.equal(ulawToLinear(octet), sample);
    assert.equal(linearToUlaw(sample), octet);
  }
});

Deno.test("A-law table", () => {
  for (const [octet, sample] of ALAW) {
    assert.equal(alawToLinear(octet), sample);
    assert.equal(linearToAlaw(sample), octet);
  }
});

Deno.test("every octet survives decoding and encoding, save u-law's second zero", () => {
  for (let octet = 0; octet < 256; octet++) {
    assert.equal(linearToUlaw(ulawToLinear(octet)), octet === 0x7f ? 0xff : octet);
    assert.equal(linearToAlaw(alawToLinear(octet)), octet);
  }
});

Deno.test("every sample gets a level no farther than half the step of its segment", () => {
  for (let sample = -32768; sample < 32768; sample++) {
    const magnitude = Math.abs(sample);
    const ulaw = Math.abs(ulawToLinear(linearToUlaw(sample)) - sample);
    const alaw = Math.abs(alawToLinear(linearToAlaw(sample)) - sample);
    assert.ok(ulaw <= (magnitude + 132) / 32 || magnitude > 32124, `u-law ${sample}: off by ${ulaw}`);
    assert.ok(
      alaw <= Math.max(8, magnitude / 32 + 1) || magnitude > 32256,
      `A-law ${sample}: off by ${alaw}`,
    );
  }
});

Deno.test("larger samples never get smaller levels", () => {
  for (let sample = -32767; sample < 32768; sample++) {
    assert.ok(ulawToLinear(linearToUlaw(sample)) >= ulawToLinear(linearToUlaw(sample - 1)));
    assert.ok(alawToLinear(linearToAlaw(sample)) >= alawToLinear(linearToAlaw(sample - 1)));
  }
});

Deno.test("law to law goes to the level nearest in value, in place too", () => {
  const all = Uint8Array.from({ length: 256 }, (_, octet) => octet);
  const alaw = all.slice();
  ulawToAlaw(alaw, alaw);
  const ulaw = all.slice();
  alawToUlaw(ulaw, ulaw);
  for (let octet = 0; octet < 256; octet++) {
    assert.equal(alaw[octet], linearToAlaw(ulawToLinear(octet)));
    assert.equal(ulaw[octet], linearToUlaw(alawToLinear(octet)));
  }
});

Deno.test("blocks are coded sample by sample and silence is silent", () => {
  const samples = Int16Array.of(0, 1000, -1000, 32767, -32768);
  const octets = new Uint8Array(5);
  const back = new Int16Array(5);
  for (const law of ["pcmu", "pcma"] as const) {
    assert.equal(encodeG711(law, samples, octets), 5);
    assert.equal(decodeG711(law, octets, back), 5);
    samples.forEach((sample, i) => assert.ok(Math.abs(back[i]! - sample) < 700));
    assert.equal(octets[0], G711_SILENCE[law]);
  }
});
