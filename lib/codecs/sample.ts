// A built-in speech-like sample for the trial caller: two seconds, eight syllables, looped. The sound is arithmetic:
// harmonics of a gliding pitch, weighed by three vowel formants, under a syllable envelope that is silent at the
// seams. G.711 is made from it on demand.
// Role: wire

import { encodeG711, type G711Law } from "./g711_tables.ts";

export const SAMPLE_LOOP_MS = 2000;
/** Length of one block of {@link SampleSource}. */
export const SAMPLE_BLOCK_MS = 20;

const SYLLABLE_MS = 250;
/** Pitch at start and end in Hz, then three formants in Hz. */
const SYLLABLES: readonly (readonly [number, number, number, number, number])[] = [
  [118, 132, 730, 1090, 2440],
  [130, 126, 270, 2290, 3010],
  [124, 110, 530, 1840, 2480],
  [112, 104, 300, 870, 2240],
  [122, 138, 660, 1720, 2410],
  [136, 128, 390, 1990, 2550],
  [126, 114, 570, 840, 2410],
  [114, 98, 440, 1020, 2240],
];
const FORMANT_WIDTHS = [90, 120, 170] as const;
const FORMANT_LEVELS = [1, 0.5, 0.25] as const;
const TOP_HZ = 3600;
const PEAK = 12000;

/** One round of the sample as 16-bit linear samples. */
export function speechSamples(sampleRate: number): Int16Array<ArrayBuffer> {
  const samples = new Int16Array(sampleRate * SAMPLE_LOOP_MS / 1000);
  const perSyllable = sampleRate * SYLLABLE_MS / 1000;
  SYLLABLES.forEach((syllable, index) => {
    addSyllable(syllable, samples.subarray(index * perSyllable, (index + 1) * perSyllable), sampleRate);
  });
  return samples;
}

/** One round of the sample in G.711, 8000 octets a second. */
export function g711Sample(law: G711Law): Uint8Array<ArrayBuffer> {
  const samples = speechSamples(8000);
  const octets = new Uint8Array(samples.length);
  encodeG711(law, samples, octets);
  return octets;
}

/** One round of the sample as Speex wideband packets of one 20 ms frame each. */
export function speexSample(): Uint8Array[] {
  const bytes = Uint8Array.from(atob(SPEEX_WIDEBAND), (char) => char.charCodeAt(0));
  const packets: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += SPEEX_PACKET_OCTETS) {
    packets.push(bytes.subarray(at, at + SPEEX_PACKET_OCTETS));
  }
  return packets;
}

/**
 * The sample without end, block by block.
 *
 * Speex needs its encoder, so the packets below were made once from the same arithmetic (our own recording):
 * speechSamples(16000) played twice into `speexenc -w --quality 5 --comp 10` (Speex 1.2.1), of which the packets of
 * the second round were kept.
 */
export class SampleSource {
  readonly #blocks: readonly Uint8Array[];
  #next = 0;

  /** Starts at the beginning. @param codec what the blocks are coded in; Speex is wideband */
  constructor(codec: "speex" | "pcmu" | "pcma") {
    this.#blocks = codec === "speex" ? speexSample() : g711Blocks(codec);
  }

  /** The next 20 ms. The array is shared between rounds: do not write into it. */
  next(): Uint8Array {
    const block = this.#blocks[this.#next]!;
    this.#next = (this.#next + 1) % this.#blocks.length;
    return block;
  }
}

function g711Blocks(law: G711Law): Uint8Array[] {
  const octets = g711Sample(law);
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < octets.length; at += 160) blocks.push(octets.subarray(at, at + 160));
  return blocks;
}

function addSyllable(
  [startHz, endHz, ...formants]: (typeof SYLLABLES)[number],
  into: Int16Array,
  sampleRate: number,
): void {
  const levels = harmonicLevels((startHz + endHz) / 2, formants);
  let phase = 0;
  for (let i = 0; i < into.length; i++) {
    const progress = i / into.length;
    let value = 0;
    for (let harmonic = 0; harmonic < levels.length; harmonic++) {
      value += levels[harmonic]! * Math.sin(phase * (harmonic + 1));
    }
    // Rises fast, falls slowly, and leaves a pause of a tenth before the next syllable.
    const envelope = progress > 0.9 ? 0 : Math.sin(Math.PI * (progress / 0.9) ** 0.7) ** 2;
    into[i] = Math.round(PEAK * envelope * value);
    phase += 2 * Math.PI * (startHz + (endHz - startHz) * progress) / sampleRate;
  }
}

/** How loud each harmonic of `pitchHz` is through the formants; their sum is 1, so nothing can clip. */
function harmonicLevels(pitchHz: number, formants: readonly number[]): Float64Array {
  const levels = new Float64Array(Math.floor(TOP_HZ / pitchHz));
  let sum = 0;
  for (let i = 0; i < levels.length; i++) {
    const hz = pitchHz * (i + 1);
    for (let f = 0; f < formants.length; f++) {
      levels[i]! += FORMANT_LEVELS[f]! / (1 + ((hz - formants[f]!) / FORMANT_WIDTHS[f]!) ** 2);
    }
    sum += levels[i]!;
  }
  for (let i = 0; i < levels.length; i++) levels[i]! /= sum;
  return levels;
}

/** Octets of one packet: 16.8 kbit/s, submode 5 (300 bits) and layer 1 (36 bits). */
const SPEEX_PACKET_OCTETS = 42;

const SPEEX_WIDEBAND =
  "LtYr2I/wAH///////7uMP//5H1xtwr6rf/31fIuhg/Rm21r//5k7YQAALtZ72JNk+n86f/D8fzLaV8OS7wYxGWKwJV3Cfa/siTTg/JTr" +
  "Mlk7YAAALtZ72JZj9TusXP/9trKkv7U/70TB2Os3MahXyYSMdcg7dRS/tOk7YAAALtZ72Jbm2POCXyUpnrGZKZP5Dvzv2O66//pyb46s" +
  "ZBlHSAH9Nik7YAAALtZ72JdjIsElkUFZ37DW///zrWlzeRQyegff/lfMJiHn1V3hr5k4UAAALtZ72JZhuKjSY8F62/HdFrGIPzv/2Ei/" +
  "//2k8AxL7x80T2Ot+nk4UAAALsSD3pbhMVpJQNclpS/WTjv+UtfJV+t0sid7f/6r9y1O/O9x9Yk4UAAALsSD3pRfnRv0Guq0Jy8Wywoa" +
  "wDjv909zJHT68WBLrZccOtTTLkk6oAAALsSD3pRe/c507xR3/66eSU0k+SGn10w0rwdpQnHLqZOKgmpX/1k6oAAALsSC31BcsO7R3/gb" +
  "Zq0dDOf0/1v/1z9f3pQXeA8LYQK2fHk0Ewk5YAACLsSC301bCfLa6UN//62EvzvzlvJQ1voORVEV8OUrWZvOJ0/t//k7YADkKs7H20Nb" +
  "+x0l/KYqEa39bbU7Tv/7QnQkc//gff/wgB////////k7ZCkHKJ4piwTYAH////////AAP///////+YAf///////hmH///WcB33k6pClj" +
  "KJ5zjxIXGn///9tk8Sx8hpC/y/+dltDQJ4K/BcwLXO///ngUtAm/YAAAKJ5zjxVbadV2yGFsFq2Rv/7r8Yph1shrF/87Xr9LZmViOCg7" +
  "HtlXYAAAKJ5zjxdbuv9pyZ67Nq3csQ/2ltfLFsyBvILTkQWrZktt/v7NGSlXEAAAKJ4NjxdbMKAa4/gxNK10utJWev0h1sx22234d1xL" +
  "ZhUfITW4iAlXYAAAKJ4NjxhbMf4KuXWrH60smf//4BE1VusklY/SZ1hrdbO1TPXD57lVgAAAKJ4NjxdbrXVv9sljZWyRG4fp////9lNz" +
  "/2BPFTeLbxawkvgqvGlWgAAAKJ4NjxbZTgDdq19v/+zch//ubQIUtk8q3X68//wbJhpVcfyWg1m/QAAAKIIjjxXZqVtqxyaZka7+fiaz" +
  "v7oDl2BKMNljTyXrqZ1H7/tAwPm/YAAAKIIjjxNcsR6IVeEFsy6muzrUgZyFF1MVUwTnkbOrqZoJ1O2t//m7EAAAKIIjjxBdPX//5lpJ" +
  "v66eCm4RCLAal087PG5wWpWroQGmLC5bczk6oAAAKJ4/jwpdCWakzlp18C4Ei9/XG1v7V34p9fzBp2ervwihpyamOHk7YICmLp1tmiAQ" +
  "AeYd/////7wAv///////6gBf////////AC////////k7YxAgLZas/I/+AH///////498P//2nX8nSb7////4SV7glPG2OT//v/m4UgQA" +
  "LZas+nVhGds0xfoWk7DacONeefB+mGJkZlS1p2psKzH/tHmn92m98AAAL7LzPlZhWLQ+rwXNtjGk7Tv2TME62Mg7f6tclgjMd1pF2DW/" +
  "//m/YAAAL7LzPndjMh1f4+2CITHWVLuiIB01GOu/8wA1hW/spBmtI583RJm/YAAAL7LzPnjpunS4Ov///7FWv//+bQ3iusgtmtEa//2s" +
  "pivmrDcqr/m/EAAAL7LyZ1dlrPOus3IHo3ZfMJQgv///+xpHW6zTwkFdtal8gt///mm7EAAAL6KyZ1dnnX89d/ByUDQKNM+er75VWcxH" +
  "cC3xaD/tF58/tvZ9Adk6oAAAL6KyZ1VpgeJvLRFc/7SQ/0gLYEEh2kgmk8ncjsztJi4OgxUC1/k5YAAAL6KyZnNoXK5CX7CxkrV+7QdO" +
  "2h//2qxf/zX610ltaZ0RZEgrTTk7YAAAL6LyZnFrPh38xGpizTWEYb0oL6/B2upJQE238/nNh4ysY/YsYxk7YAAAL6Ly6074za1+MluH" +
  "/7b0TrR+bOqkGzM0bQdpW2//fwmHHE5djXk7YAQlKZbjKUJtD0RcaVqh0jf9v/UqqCFkoYAsuEW////qgB////////k7ZB1IKsND3mKg" +
  "AP////////4Af////////kU////////tn3//OkPd63k7ZBzgLL7m6ZE2+M3/99fKGZfZaMklk08E2z7f///z4dGNn30lrm//1/m4UAAA" +
  "LL7m6ZRvSn89oRUEcLbMcoQFNYLE25K62/+PaEaN9xzLDOgDCcm/YAAALL7m63ZvrkBxY1df/7gYFwQPIbBhXEi4SlLEa//uJD/O//5w" +
  "e3m/YAAALHG6WpdxIg3539v//7iRf5v/x/D1+iEsl7Dl9F8OMkgmvSeczvm/YAAALHG6WpZxXAzkT/VzuTkhP7WvCSbZ3PIVCtj4SepO" +
  "NcN8PHZ///m4UAAALHG6WxZzINqaaSc1kjmRDY5k////3ORf//2wLPOuZDCnmH////m7EAAALHG6WxVzuf//89v5nrnIdKU5h/5oHOt6" +
  "//tT0qpul4Nixte/HYk4kAAALHG7rhR1ycE3yT7FtrpeGPoLfzphXM5D8/qehc/uk4OOmtkvMxk5YAAALHG7rhJ1TUDBoDf6f7qeL7//" +
  "wJB13U8nY2qp///u34r/1I+FQPk7YAAALHG7q891Cklv/////7ocv0v/76kdnaw7XR8EW22u2Z+tntL8P8k7YAAALHG7r8d2j6P5X//8" +
  "zTuHpv5+5XcbXcMv1Qnc61WChxWq8Kuchyk7YADmLp1tmiBx+eiWkltacGQAtf//////5gBf///////9wC////////k7YxAgL66TKY/8" +
  "AH///////6VgP//5nc3HRL7f2//wBublz/Eqg///Ork7YQAAL66TKZRhGn//5Hq7UjDEd5sAxxFPGDSTgSLEpf/sKTT/H/JaEbk4YAAA" +
  "L66TLbZe2KXOGic/+zAY//5PMXv9V6ohJkfpkk2L5join/I///k4YAAAL66TLbdfIn9uD31yRS+QdP9P+7hBV8B4PA/FW//rtc/O//IC" +
  "dik5YAAAL66TLbddrPQLP51mOi6Y8JrLitv/10hW//tJh1erkacqCO///Tk5YAAAL66TLbfZrlpK1qKf/67kQbfzjgizNm6exHTf///r" +
  "Zj/tOmwuK2k6oAAAL67yZnbXMMgPNqf/6S3dFMK4LYDv1pif/66rEbDrV5uKn28L0pm7EAAAL66yZnbVua1r2naX/6w0WklSPA5F1kwr" +
  "lSDz/pQLM5g5JvUH//m7EAAAL66yZnRXOU1tqcycuKxeUJ5iFPzjldt6/PQ8f//q9at/O/WLmMk4kAAALAoSP5HQjTfjUP6zM6uezuZm" +
  "ciK/1dMkqWSYXS9K6ZhLDQO/11k6oAAALAoSOq7MbnaQBXKc/ysek0jv5ygcVY8+qFzf6wdqgRDi60h1t/k7YABALAoSYYRVD/PP8Dae" +
  "JCr83MZPx/zqgH4ppW/////zAA////////k7YqlqLYOPKUPiAP////////EAf///////9sM////////gX3///VG3zck7Za1kLYOMLVIG" +
  "wf//6Wt4IyqMXM35uSz31TCgG0sSfYfqsVHOOrIw0sm98AAALYOMLVVViMX1q2xXLKqZcKRdKzv/1Wu2//sQIiNKtafgvqvaE2m98AAA" +
  "LYOMLVdVrl8uxQX//+Zy4P4EimDb1cgk7zdhk7Sq5EAjirn///m/EAAALYOMLVdXIv/60AYJP6uQZy1qy4G5VcigGfW/nf/q90//WDvM" +
  "GSm/QAAALYOMKrdXuI2fYUEEkyuY7zCazvv/1Zpf/zDjq+V59ZwQnTg/Mmm/EAAALYOMKrdWKQ/mn/f//+hfPzrZhwVK9EgUFTLdwRo6" +
  "M5/XxKrH/tm/YAAALYOMKrbRMVrJ1a6S/+jWHWop1lR3VgtW/mW22//rJC//On/MN0m7EAAALYOMKrTSvIGyf7SWDyzOki30Cv//9M9f" +
  "/rHfkmJrE5TOOgWIA9k6oAAALYOMKrNZPWmAAgdv5yzWrf9dSZqSVms3aFa9/8wLX5amnsqOt/k5YAAALYP+Kq9YOX9pCyxeBOpm3LuY" +
  "P/5h1g5nfm7efnarT5UnwmZ9YMk7YAAALYP+KqrUC3C89sw/+q1mlO0yrubglsMR59912GOLfwP3a5rI+Kk7YAUqLp1tmiCgASBH////" +
  "//YAv///////8YBf////////AC////////k7ZJhAKsZ7307yAH///////4WgP//8rM8qCj7/2/2/8jbrmHGq5//gggm4UQAAKsZ731Rd" +
  "Gn/5djYbX6/mr7f//208V7mbS8zwf//r9e/t/T5fjrm8UAAAKsYD31VhIOXgXMA826/Xpp349v//2Eiz2//pjsbsJFQU1n//O/m+oAAA" +
  "KsYD2ndhIttv+wY1X7CQUEDoEwyzWDqa+t9////sJj//tgmM3Ym+oAAALUT73vZhuSHmo80H8zEhP9eXhF5q2Mgkcvj274usZFfjHStO" +
  "//m9YAAALUT6K5ZjIg//9vNIszGQR4gJOauW2O6QLAow6z/sRRXg//Tw2am/YAAALUT6K5bnrfmhh1v///SQ//4OeJWP+lMRysvqP1Bd" +
  "Na/1SlI1+/m4UAAAK7dl2ZRluNrRWtsxgvQdC5ULbbf7WWuW//zJ9g1sgxLxY+TQrSm7EAAALUT6L5NkXhExtJKxFrNeUir9iJ3gWax9" +
  "xtbT///s6a//T/t/88k5YAAALG7fXhBmvPNQg+qxAbOe7bQGnOos2cIOpID7Zx3NH6IqxP6an/k7YAAALG7fXgzwzQ+V/DY/AjQeqO3+" +
  "fzph2jM2/4SUInFNIYq+/gOTOnk7YAAHLUSCXmVpDxwexvI//7QAaqy0jsO1l4AdWe8////mQA////////k7YaUoKeK52qLwAP//////" +
  "/+gAf////////pE////////gX3//Okl3qck7ZKUkLsFV2JEA+LUFv+uDm6V9X49Dvzjv2r7//nHTE4ZOObctSttOrZm4UAAALsFV2JRs" +
  "5v5zSq9xH7eQTWOcDpHem8jzWgU6f2/t5CKOO/rvpym9YAAALsN72JdvImD8YWtv/7d0WiNddWkfG8xnow1////t0z////1IeMm98AAA" +
  "LsN72JdvrJ+exY/xEzjc000tfT2f3G4xEla//lHONc/mJwFTWIm/YAAALsN72JZxrMRv514Q77mRVGzY1iLf3Jw8//1/22MOZlIsi0//" +
  "//m7EAAALLrY63Z0gKRWv8wPF7pfKYrztvzv3W5//nf1/Bquty9fL51v/tk6oAAALM9E31V1rdv//5R3kTseX4ob68P5ndNwWplPAvVv" +
  "MZiTwTvvmtk7YAAALM9E31R3rn6xFcwOkzsuIvFjVoCmHlNQaBt3LhnO5wiJkSTOkwk7YAAALM8r3pJ5Pc08xcciUDwuInGOi1pN3qxk" +
  "VwWPMW3vb4Gx8MSniuk7YAAALM8r3o97Ctsw8fOkFr4eBhGgZ05WHw9Nyu4tklfvj4BbK/Omgfk7YAgDLM9V3op8fxs7fZds37+GBpal" +
  "txXIn/5EYHrh21nPwA4LgOgNOVk7YCQJLp1tmiBARcI/5x3//7wAv///////84Bf///////6QC////////k7ZBRA";
