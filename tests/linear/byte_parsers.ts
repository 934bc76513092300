// Bytes: what RTMP, RTP, STUN and FLV files hold, whole and in pieces.
// Role: wire

import { isLoas } from "../../lib/codecs/aac.ts";
import { decodeAmf0, decodeReadableAmf0, encodeAmf0 } from "../../lib/amf/amf0.ts";
import { decodeAmf3, encodeAmf3 } from "../../lib/amf/amf3.ts";
import { Amf3Decoder } from "../../lib/amf/amf3_decoder.ts";
import { AmfEcmaArray, type AmfValue, formatAmf } from "../../lib/amf/value.ts";
import { ByteReader, ByteWriter, decodeUtf8, encodeUtf8, fromHex } from "../../lib/base/bytes.ts";
import { PublisherConfigs } from "../../lib/call/publisher_configs.ts";
import { decodeComfortNoise } from "../../lib/codecs/comfort_noise.ts";
import { parseAacConfig } from "../../lib/codecs/aac.ts";
import { durationOffset, parseMetaData, publisherProperties } from "../../lib/flv/metadata.ts";
import { encodeFlvTag, FlvTagReader } from "../../lib/flv/tag.ts";
import { isSound, publisherCodecs } from "../../lib/call/publisher_configs.ts";
import { createAudioDepacketizer } from "../support/audio_formats.ts";
import { decodeAvcConfig, encodeAvcConfig } from "../../lib/codecs/h264/avc_config.ts";
import { decodeG711 } from "../../lib/codecs/g711_tables.ts";
import { createTag, readTag } from "../../lib/media/tag.ts";
import { createFrame } from "../../lib/media/frame.ts";
import { decodeTag } from "../../lib/media/flv_tag.ts";
import { expGolombAt, sliceTypeOf, startsPicture } from "../../lib/codecs/h264/slice.ts";
import { H264Depacketizer } from "../../lib/codecs/h264/depacketizer.ts";
import { OpusDepacketizer, opusTicks } from "../../lib/codecs/opus.ts";
import { ParameterSets } from "../../lib/codecs/h264/parameter_sets.ts";
import { countSpeexFrames, splitSpeexFrames, stripWidebandLayer } from "../../lib/codecs/speex_bits.ts";
import { isKeyPicture, PictureUnits } from "../../lib/codecs/h264/picture_units.ts";
import { XflvDepacketizer } from "../../lib/codecs/xflv.ts";
import { decodeSockaddr } from "../../lib/net/linux/udp.ts";
import { decodeStun, encodeStun, isStun } from "../../lib/net/stun.ts";
import { ChunkReader, DEFAULT_CHUNK_LIMITS } from "../../lib/rtmp/chunk_stream.ts";
import { decodeCommand } from "../../lib/rtmp/command.ts";
import { withoutSetDataFrame } from "../../lib/rtmp/server_session.ts";
import { answerClient, findDigest, HANDSHAKE_KEYS, HANDSHAKE_SIZE } from "../../lib/rtmp/handshake.ts";
import { recognise } from "../../lib/rtmp/handshake_io.ts";
import {
  decodeControlValue,
  decodePeerBandwidth,
  decodeUserControl,
  splitAggregate,
} from "../../lib/rtmp/message.ts";
import { decodeRtp } from "../../lib/rtp/packet.ts";
import {
  decodeRedundancy,
  decodeTelephoneEvent,
  decodeTelephoneEvents,
  encodeRedundancy,
} from "../../lib/rtp/telephone_event.ts";
import { decodeRtcp } from "../../lib/rtp/rtcp.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { octets, type Subject } from "../support/linear_time.ts";

const VALUES: AmfValue[] = [
  "connect",
  1,
  { app: "a", on: true, list: [1, "b"], none: null },
  new AmfEcmaArray({ a: 1 }),
];
const AMF0 = encodeAmf0(VALUES);
const AMF3 = encodeAmf3([...VALUES.slice(0, 3), "connect", new Uint8Array([1, 2])]);
const METADATA = encodeAmf0([
  "onMetaData",
  new AmfEcmaArray({ duration: 1.5, keyframes: { times: [0, 1], filepositions: [1, 2] } }),
]);
const AVC = written((writer) => encodeAvcConfig([fromHex("6742c01e")], [fromHex("68ce3c80")], writer));
const TAGS = written((writer) => {
  writer.bytes(fromHex("464c560105 00000009 00000000"));
  encodeFlvTag(writer, 18, 0, METADATA);
  encodeFlvTag(writer, 8, 20, fromHex("b2 010203"));
});
const CHUNKS = fromHex("03000000000004140000000002000161 43000010000002080 1 b201 c3 c3");
const RTCP = fromHex(
  "81c90007 00000001 00000002 00000000 00000000 00000000 00000000 00000000 81ca0003 00000001 01026162 00000000 80cb0001 00000001"
    .replaceAll(" ", ""),
);

function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(256);
  write(writer);
  return writer.take();
}

/** One piece after the other. */
function inPieces(bytes: Uint8Array, length: number, push: (piece: Uint8Array) => void): void {
  for (let at = 0; at < bytes.length; at += length) push(bytes.subarray(at, at + length));
}

function readTags(bytes: Uint8Array, length: number): void {
  const reader = new FlvTagReader();
  inPieces(bytes, length, (piece) => {
    reader.feed(piece);
    while (reader.next() !== null);
  });
}

function readChunks(bytes: Uint8Array, length: number): void {
  const reader = new ChunkReader(DEFAULT_CHUNK_LIMITS, { receive: () => {} });
  inPieces(bytes, length, (piece) => void reader.push(piece));
}

const clock = new FakeClock();
const frame = createFrame();
const tag = createTag();

/** All there is. */
export const BYTE_PARSERS: readonly Subject[] = [
  octets("decodeAmf0", decodeAmf0, AMF0),
  octets("decodeReadableAmf0", decodeReadableAmf0, AMF0),
  octets("decodeAmf3 readAmf3", decodeAmf3, AMF3),
  octets(
    "Amf3Decoder",
    (bytes) => new Amf3Decoder(new ByteReader(bytes, "AMF3")).value(0),
    AMF3,
  ),
  octets("formatAmf", (bytes) => decodeAmf0(bytes).map((value) => formatAmf(value)), AMF0),
  octets("decodeUtf8 ByteReader", decodeUtf8, fromHex("61c3a4e282ac f09f9880")),
  octets("PublisherConfigs", (body) => {
    new PublisherConfigs().note({ type: 9, timeMs: 0, body }, readTag(9, body, createTag()));
  }, fromHex("1700000000 0142c01e")),
  octets("decodeComfortNoise", decodeComfortNoise, fromHex("40 7f7f")),
  octets(
    "parseAacConfig",
    parseAacConfig,
    fromHex("1210"),
    fromHex("2b920800"),
  ),
  octets(
    "parseMetaData publisherProperties durationOffset",
    (body) => [parseMetaData(body), publisherProperties(body), durationOffset(body)],
    METADATA,
  ),
  octets("FlvTagReader", (bytes) => readTags(bytes, bytes.length), TAGS),
  octets("FlvTagReader in pieces", (bytes) => readTags(bytes, 64), TAGS),
  octets("publisherCodecs isSound", (body) => {
    return [publisherCodecs(body), isSound({ type: 8, timeMs: 0, body })];
  }, fromHex("b201")),
  octets(
    "readTag",
    (body) => {
      return ([8, 9, 18] as const).map((type) => readTag(type, body, tag).end);
    },
    METADATA,
    fromHex("96 41 6d703461 01 02"),
    fromHex("d7 0000 50 61766331 01 000001 02"),
  ),
  octets(
    "decodeG711",
    (bytes) => decodeG711("pcma", bytes, new Int16Array(bytes.length)),
    fromHex("d5d5"),
  ),
  ...(["speex", "pcma"] as const).map((codec) =>
    octets(`SpeexDepacketizer of ${codec}`, (payload) => {
      createAudioDepacketizer({ codec, clock } as never).push(payload, 1, false, () => {}, 0);
    }, fromHex("1e9d6600 1e9d66"))
  ),
  octets("isLoas", isLoas, fromHex("56e019 20")),
  octets("decodeAvcConfig", decodeAvcConfig, AVC),
  octets(
    "decodeTag",
    (body) => decodeTag(9, 0, body, frame),
    fromHex("1701000000 00000002 6588"),
  ),
  octets(
    "startsPicture sliceTypeOf expGolombAt",
    (nal) => [startsPicture(nal), sliceTypeOf(nal), expGolombAt(nal, 8)],
    fromHex("658884"),
  ),
  octets("H264Depacketizer", (bytes) => {
    const depacketizer = new H264Depacketizer({ clock });
    inPieces(bytes, 64, (piece) => depacketizer.push(piece, 1, false, () => {}, 0));
  }, fromHex("18 0004 6742c01e 0004 68ce3c80 7c85 8800 7c45 01 6588")),
  octets("opusTicks OpusDepacketizer", (packet) => {
    new OpusDepacketizer({ clock }).push(packet, 1, false, () => {});
    return opusTicks(packet);
  }, fromHex("7b 03 0102")),
  octets(
    "ParameterSets",
    (nal) => new ParameterSets().update(nal),
    fromHex("6742c01ed9"),
    fromHex("68ce3c80"),
  ),
  octets(
    "isKeyPicture",
    (data) => {
      return isKeyPicture(new PictureUnits(), data, 0, data.length, true);
    },
    fromHex("00000002 6588 00000003 419a00"),
    fromHex("00000001 6588 000001 419a00"),
  ),
  octets("countSpeexFrames", countSpeexFrames, fromHex("1e9d6600 1e9d66")),
  octets("splitSpeexFrames", splitSpeexFrames, fromHex("1e9d6600 1e9d66")),
  octets("stripWidebandLayer", stripWidebandLayer, fromHex("1e9d6600 1e9d66")),
  octets("XflvDepacketizer", (bytes) => {
    const depacketizer = new XflvDepacketizer(clock);
    inPieces(bytes, 64, (piece) => depacketizer.push(piece, 1, false, () => {}));
  }, fromHex("00000000 00000001 0000 0001 01020304")),
  octets("decodeSockaddr", decodeSockaddr, fromHex("0200 13c4 c0000201 0000000000000000")),
  octets(
    "decodeStun isStun",
    (bytes) => isStun(bytes) ? decodeStun(bytes) : null,
    encodeStun({ type: "request", id: "00".repeat(12), unknown: [] }),
  ),
  octets("ChunkReader", (bytes) => readChunks(bytes, bytes.length), CHUNKS),
  octets("ChunkReader in pieces", (bytes) => readChunks(bytes, 16), CHUNKS),
  octets(
    "decodeCommand",
    (body) => decodeCommand(20, body),
    encodeAmf0(["play", 3, null, "a"]),
  ),
  octets(
    "withoutSetDataFrame",
    withoutSetDataFrame,
    encodeAmf0(["@setDataFrame", "onMetaData"]),
  ),
  octets(
    "recognise",
    (bytes) => recognise(bytes, true),
    encodeUtf8("GET / HTTP/1.1\r\nl: 1\r\n\r\n"),
  ),
  octets("answerClient findDigest isSigned", (hello) => {
    findDigest(hello.subarray(1, 1 + HANDSHAKE_SIZE), HANDSHAKE_KEYS.client);
    return answerClient(hello, 0, (count) => new Uint8Array(count));
  }, new Uint8Array(1 + HANDSHAKE_SIZE).fill(3, 0, 9)),
  octets(
    "decodeControlValue decodePeerBandwidth decodeUserControl",
    (body) => [decodeControlValue(body), decodePeerBandwidth(body), decodeUserControl(body)],
    fromHex("0000100002"),
  ),
  octets(
    "splitAggregate",
    (body) => splitAggregate({ type: 22, streamId: 1, timestamp: 5, body }, () => {}),
    fromHex("08 000002 000000 00 000000 b201 0000000d 08 000001 000014 00 000000 b2 0000000c"),
  ),
  octets(
    "decodeRtp",
    decodeRtp,
    fromHex("b1 00 0001 00000001 00000002 00000003 bede0001 10010000 010203 01"),
  ),
  octets(
    "decodeRedundancy",
    decodeRedundancy,
    encodeRedundancy([{ payloadType: 5, timestampOffset: 160, data: fromHex("0102") }], {
      payloadType: 5,
      data: fromHex("03"),
    }),
  ),
  octets("decodeRtcp", decodeRtcp, RTCP),
  octets(
    "decodeTelephoneEvent decodeTelephoneEvents",
    (payload) => [decodeTelephoneEvent(payload), decodeTelephoneEvents(payload)],
    fromHex("050a00a0"),
  ),
];
