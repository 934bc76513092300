// RTMP messages: type ids, the payloads of the control messages, and aggregates.
// Adobe "Real Time Messaging Protocol 1.0", sections 5.4 (control), 6 and 7.1 (message types).
// Role: wire

import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";

/** Message type ids (5.4, 7.1). */
export const MESSAGE_TYPE = {
  /** The sender cuts its messages into chunks of this size from now on. */
  SET_CHUNK_SIZE: 1,
  /** The partly sent message of a chunk stream is given up. */
  ABORT: 2,
  /** So many bytes have been received. */
  ACKNOWLEDGEMENT: 3,
  /** Stream begin, ping and others: {@linkcode USER_CONTROL}. */
  USER_CONTROL: 4,
  /** The receiver is to acknowledge after so many bytes. */
  WINDOW_ACK_SIZE: 5,
  /** The receiver is to limit what it has sent and not been acknowledged. */
  SET_PEER_BANDWIDTH: 6,
  /** One FLV audio tag body. */
  AUDIO: 8,
  /** One FLV video tag body. */
  VIDEO: 9,
  /** Data in AMF0 after one byte. */
  DATA_AMF3: 15,
  /** Shared object, AMF3. */
  SHARED_OBJECT_AMF3: 16,
  /** Command in AMF0 (with AMF3 values) after one byte. */
  COMMAND_AMF3: 17,
  /** Data in AMF0. */
  DATA: 18,
  /** Shared object, AMF0. */
  SHARED_OBJECT: 19,
  /** Command in AMF0. */
  COMMAND: 20,
  /** Several media messages in one. */
  AGGREGATE: 22,
} as const;

/** Events of user control messages (7.1.7). */
export const USER_CONTROL = {
  /** A stream can be used. */
  STREAM_BEGIN: 0,
  /** Playback of a stream is over. */
  STREAM_EOF: 1,
  /** No data for now. */
  STREAM_DRY: 2,
  /** The client buffers so many milliseconds. */
  SET_BUFFER_LENGTH: 3,
  /** The stream is a recorded one. */
  STREAM_IS_RECORDED: 4,
  /** Are you there? */
  PING_REQUEST: 6,
  /** Yes. */
  PING_RESPONSE: 7,
} as const;

/** One whole RTMP message. The reader reuses one object: valid, like its body, until the outlet returns. */
export interface RtmpMessage {
  /** See {@linkcode MESSAGE_TYPE}. */
  type: number;
  /** 0 for the connection, else the stream it belongs to. */
  streamId: number;
  /** Milliseconds, 32 bits, wrapping. */
  timestamp: number;
  /** The payload, borrowed. */
  body: Uint8Array;
}

/** What takes whole messages. */
export interface MessageSink {
  /** One message, borrowed. */
  receive(message: RtmpMessage): void;
}

/**
 * What the outlet `onMedia` is given; the object is reused, so it and its body are valid until the outlet
 * returns. Data messages come without a leading "@setDataFrame", and in AMF0.
 */
export interface MediaMessage {
  /** 8 audio, 9 video, 18 data: the FLV tag types. */
  readonly type: 8 | 9 | 18;
  /** Milliseconds, unwrapped beyond 32 bits. */
  readonly timeMs: number;
  /** FLV tag body, or AMF0 values. Borrowed. */
  readonly body: Uint8Array;
}

/**
 * The one number that Set Chunk Size, Abort, Acknowledgement and Window Acknowledgement Size carry.
 *
 *   user control   event:u16 value:u32 [second:u32]         peer bandwidth   window:u32 limit:u8
 *   aggregate      ( type:u8 length:u24 time:u24 timeHigh:u8 stream:u24 body previous:u32 )*
 */
export function decodeControlValue(body: Uint8Array): number {
  return new ByteReader(body, "RTMP control message").u32();
}

/** The payload of those messages. */
export function encodeControlValue(value: number): Uint8Array {
  const writer = new ByteWriter(4);
  writer.u32(value);
  return writer.take();
}

/** Set Peer Bandwidth (5.4.5). */
export interface PeerBandwidth {
  /** Bytes that may be sent without an acknowledgement. */
  windowSize: number;
  /** 0 hard, 1 soft, 2 dynamic. */
  limit: number;
}

/** Reads Set Peer Bandwidth; a missing limit counts as dynamic. */
export function decodePeerBandwidth(body: Uint8Array): PeerBandwidth {
  const reader = new ByteReader(body, "RTMP Set Peer Bandwidth");
  const windowSize = reader.u32();
  return { windowSize, limit: reader.remaining > 0 ? reader.u8() : 2 };
}

/** The payload of Set Peer Bandwidth. */
export function encodePeerBandwidth(bandwidth: PeerBandwidth): Uint8Array {
  const writer = new ByteWriter(5);
  writer.u32(bandwidth.windowSize);
  writer.u8(bandwidth.limit);
  return writer.take();
}

/** A user control message (7.1.7). */
export interface UserControl {
  /** See {@linkcode USER_CONTROL}; others are possible. */
  event: number;
  /** Stream id, or time of a ping; 0 when the event has none. */
  value: number;
  /** Buffer length in milliseconds, 0 for other events. */
  second: number;
}

/** Reads a user control message of any event. */
export function decodeUserControl(body: Uint8Array): UserControl {
  const reader = new ByteReader(body, "RTMP user control message");
  const event = reader.u16();
  const value = reader.remaining >= 4 ? reader.u32() : 0;
  return { event, value, second: reader.remaining >= 4 ? reader.u32() : 0 };
}

/** The payload of a user control message; the second value is written for Set Buffer Length only. */
export function encodeUserControl(event: number, value: number, second = 0): Uint8Array {
  const writer = new ByteWriter(10);
  writer.u16(event);
  writer.u32(value);
  if (event === USER_CONTROL.SET_BUFFER_LENGTH) writer.u32(second);
  return writer.take();
}

const AGGREGATE_HEADER = 11;

/**
 * Splits an aggregate (7.1.6): the times inside are moved so that the first one gets the aggregate's own
 * time; stream ids inside are ignored. Only audio, video and data come out. Throws WireError when cut.
 */
export function splitAggregate(message: RtmpMessage, emit: (part: RtmpMessage) => void): void {
  const reader = new ByteReader(message.body, "RTMP aggregate");
  const part: RtmpMessage = { type: 0, streamId: message.streamId, timestamp: 0, body: message.body };
  let shift = Number.NaN;
  while (reader.remaining >= AGGREGATE_HEADER) {
    part.type = reader.u8();
    const length = reader.u24();
    const low = reader.u24();
    const time = ((reader.u8() << 24) | low) >>> 0;
    reader.skip(3);
    if (Number.isNaN(shift)) shift = message.timestamp - time;
    part.timestamp = (time + shift) >>> 0;
    part.body = reader.bytes(length);
    if (reader.remaining > 0) reader.skip(4); // the back pointer of the last part is sometimes left out
    if (isMediaType(part.type)) emit(part);
  }
  if (reader.remaining > 0) throw new WireError("RTMP aggregate", `${reader.remaining} bytes left over`);
}

/** True for audio, video and AMF0 data. */
export function isMediaType(type: number): type is 8 | 9 | 18 {
  return type === 8 || type === 9 || type === 18;
}
