// Media of the traces: the same bytes in every run, made without the gateway's code.

/** Parameters of a Speex core of submode 5 and of a layer of submode 3, in bits. */
const CORE_BITS = 295;
const LAYER_BITS = 188;

/** Speex packets of 20 ms whose parameters are a simple series; wideband ones have a layer. */
export function speexPackets(band: "wideband" | "narrowband", count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const core = "00101" + series(CORE_BITS, i);
    return packed(band === "wideband" ? `${core}1011${series(LAYER_BITS, i + 7)}` : core);
  });
}

function series(count: number, seed: number): string {
  return Array.from({ length: count }, (_, i) => (i * i + 3 * i * seed + seed) % 7 % 2).join("");
}

/** Filled up with the terminator of Speex, a 0 and ones. */
function packed(bits: string): Uint8Array {
  const left = -bits.length & 7;
  const all = left === 0 ? bits : bits + "0".padEnd(left, "1");
  return Uint8Array.from({ length: all.length / 8 }, (_, i) => parseInt(all.slice(8 * i, 8 * i + 8), 2));
}

/** Blocks that are told apart by their octets; with the header of an audio tag when there is one. */
export function numbered(count: number, size: number, tag?: number): Uint8Array[] {
  return Array.from({ length: count }, (_, n) => {
    const block = Array.from({ length: size }, (_, i) => (n * 37 + i * 11) & 255);
    return Uint8Array.from(tag === undefined ? block : [tag, ...block]);
  });
}

/** The parameter sets of behaviour.md 1.8. */
export const SPS: Uint8Array = Uint8Array.fromHex("6742c01eabcd");
export const PPS: Uint8Array = Uint8Array.fromHex("68ce3c80");

/** The video tag of their configuration. */
export const AVC_CONFIG: Uint8Array = Uint8Array.fromHex(
  "17000000000142c01effe100066742c01eabcd01000468ce3c80",
);

/** A slice: IDR for "I". */
export function slice(kind: "I" | "P", size: number, seed: number): Uint8Array {
  const nal = Uint8Array.from({ length: size }, (_, i) => 1 + (i * 31 + seed * 7) % 250);
  nal.set(kind === "I" ? [0x65, 0b1011_0000] : [0x41, 0b1100_0000]);
  return nal;
}

/** A video tag of one frame, its NAL units behind their lengths. */
export function avcTag(...nals: Uint8Array[]): Uint8Array {
  const key = nals.some((nal) => (nal[0]! & 31) === 5);
  const body = [key ? 0x17 : 0x27, 1, 0, 0, 0];
  for (const nal of nals) body.push(0, 0, nal.length >> 8, nal.length & 255, ...nal);
  return Uint8Array.from(body);
}

/** A tone of 1 kHz as audio tags, coded once and kept in tests/golden. */
export function toneFrames(
  codec: "aac" | "opus",
): { config: Uint8Array | null; tags: Uint8Array[]; stepMs: number } {
  const lines = Deno.readTextFileSync(new URL(`../../golden/tone.${codec}.hex`, import.meta.url)).trim()
    .split("\n");
  const frames = lines.map((line) => Uint8Array.fromHex(line));
  if (codec === "opus") {
    const tags = frames.map((frame) => Uint8Array.of(0x91, 0x4f, 0x70, 0x75, 0x73, ...frame));
    return { config: null, tags, stepMs: 20 };
  }
  const [config, ...packets] = frames;
  const tags = packets.map((packet) => Uint8Array.of(0xaf, 1, ...packet));
  return { config: Uint8Array.of(0xaf, 0, ...config!), tags, stepMs: 64 / 3 };
}

/** One message of x-flv as the payloads of its packets (behaviour.md 1.9). */
export function xflvPackets(
  sequence: number,
  { type, time, body }: { type: number; time: number; body: Uint8Array },
): Uint8Array[] {
  const message = Uint8Array.from([...u32(type), ...u32(body.length), ...u32(time), ...body]);
  const packets: Uint8Array[] = [];
  for (let at = 0; at < message.length; at += 1000) {
    const length = at === 0 ? [message.length >> 8, message.length & 255] : [];
    const head = [
      0x52,
      0x54,
      0x4d,
      0x50,
      ...u32(sequence),
      packets.length >> 8,
      packets.length & 255,
      ...length,
    ];
    packets.push(Uint8Array.from([...head, ...message.subarray(at, at + 1000)]));
  }
  return packets;
}

function u32(value: number): number[] {
  return [value >>> 24, value >> 16 & 255, value >> 8 & 255, value & 255];
}
