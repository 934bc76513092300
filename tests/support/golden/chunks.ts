// RTMP chunks written and read for the traces, apart from the gateway's own.

/** One message as it was on the wire; `fmt` is the form of its first chunk header. */
export interface WireMessage {
  readonly fmt: number;
  readonly csid: number;
  readonly type: number;
  readonly streamId: number;
  readonly time: number;
  readonly body: Uint8Array;
}

/** Chunks of one message, each of at most `size` octets, the first with a whole header. */
export function writeChunks(message: Omit<WireMessage, "fmt">, size: number): Uint8Array {
  const { csid, type, streamId, time, body } = message;
  const out = [csid, ...u24(time), ...u24(body.length), type];
  out.push(streamId & 255, streamId >> 8 & 255, streamId >> 16 & 255, streamId >>> 24);
  for (let at = 0; at < body.length; at += size) {
    if (at > 0) out.push(0xc0 | csid);
    out.push(...body.subarray(at, at + size));
  }
  return Uint8Array.from(out);
}

function u24(value: number): number[] {
  return [value >> 16 & 255, value >> 8 & 255, value & 255];
}

interface Channel {
  fmt: number;
  time: number;
  delta: number;
  length: number;
  type: number;
  streamId: number;
  extended: boolean;
  body: number[];
}

/** Takes bytes as they come and gives whole messages. */
export class ChunkParser {
  #pending = new Uint8Array(0);
  #size = 128;
  readonly #channels = new Map<number, Channel>();

  /** Gives the messages that these bytes complete. */
  push(bytes: Uint8Array): WireMessage[] {
    const all = new Uint8Array(this.#pending.length + bytes.length);
    all.set(this.#pending);
    all.set(bytes, this.#pending.length);
    const messages: WireMessage[] = [];
    let at = 0;
    for (;;) {
      const used = this.#chunk(all.subarray(at), messages);
      if (used === 0) break;
      at += used;
    }
    this.#pending = all.slice(at);
    return messages;
  }

  /** Reads one chunk; 0 when it is not whole. */
  #chunk(bytes: Uint8Array, messages: WireMessage[]): number {
    if (bytes.length < 1) return 0;
    const fmt = bytes[0]! >> 6;
    const short = bytes[0]! & 63;
    let at = short === 0 ? 2 : short === 1 ? 3 : 1;
    const headerLength = [11, 7, 3, 0][fmt]!;
    if (bytes.length < at + headerLength) return 0;
    const csid = short === 0 ? bytes[1]! + 64 : short === 1 ? bytes[1]! + 64 + 256 * bytes[2]! : short;
    const before = this.#channels.get(csid) ??
      { fmt: 0, time: 0, delta: 0, length: 0, type: 0, streamId: 0, extended: false, body: [] };
    const channel = { ...before };
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const u24At = (where: number): number => view.getUint16(where) * 256 + bytes[where + 2]!;
    let stamp = fmt === 3 ? channel.delta : u24At(at);
    if (fmt !== 3) channel.extended = stamp === 0xffffff;
    if (fmt < 2) [channel.length, channel.type] = [u24At(at + 3), bytes[at + 6]!];
    if (fmt === 0) channel.streamId = view.getUint32(at + 7, true);
    at += headerLength;
    if (channel.extended) {
      if (bytes.length < at + 4) return 0;
      if (fmt !== 3) stamp = view.getUint32(at);
      at += 4;
    }
    const begins = channel.body.length === 0;
    const count = Math.min(this.#size, channel.length - channel.body.length);
    if (bytes.length < at + count) return 0;
    if (begins) {
      channel.fmt = fmt;
      channel.time = fmt === 0 ? stamp : channel.time + stamp;
      channel.delta = stamp;
    }
    channel.body = [...channel.body, ...bytes.subarray(at, at + count)];
    if (channel.body.length === channel.length) {
      this.#complete({ ...channel, csid, body: Uint8Array.from(channel.body) }, messages);
      channel.body = [];
    }
    this.#channels.set(csid, channel);
    return at + count;
  }

  #complete(message: WireMessage, messages: WireMessage[]): void {
    if (message.type === 1) this.#size = new DataView(message.body.buffer).getUint32(0);
    messages.push(message);
  }
}
