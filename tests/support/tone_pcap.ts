// A capture file with one RTP stream in it, as SIPp plays it: Ethernet, IPv4, UDP, PCMU in packets of 20 ms.
// Role: wire

import { ByteWriter } from "../../lib/base/bytes.ts";
import { encodeG711 } from "../../lib/codecs/g711_tables.ts";
import { rtpBytes } from "./rtp_packets.ts";

const BLOCK = 160;
const ETHERNET = 1;

/** The capture of some samples of 8 kHz. */
export function pcapOf(samples: Int16Array): Uint8Array {
  const file = new ByteWriter(1 << 16);
  for (const word of [0xa1b2c3d4, 0x00040002, 0, 0, 65535, ETHERNET]) file.u32le(word);
  for (let i = 0; (i + 1) * BLOCK <= samples.length; i++) {
    const payload = new Uint8Array(BLOCK);
    encodeG711("pcmu", samples.subarray(i * BLOCK, (i + 1) * BLOCK), payload);
    const packet = framed(
      rtpBytes({ sequenceNumber: i + 1, timestamp: i * BLOCK, marker: i === 0, payload }),
    );
    const micros = i * 20_000;
    for (const word of [Math.floor(micros / 1e6), micros % 1e6, packet.length, packet.length]) {
      file.u32le(word);
    }
    file.bytes(packet);
  }
  return file.take();
}

/** An RTP packet in a UDP datagram of loopback; nobody looks at the checksums. */
function framed(rtp: Uint8Array): Uint8Array {
  const frame = new ByteWriter(64 + rtp.length);
  frame.bytes(new Uint8Array(12)); // no addresses
  frame.u16(0x0800);
  frame.u16(0x4500);
  frame.u16(28 + rtp.length);
  frame.u32(0); // identification, no fragments
  frame.u32(0x40110000); // 64 hops, UDP
  frame.u32(0x7f000001);
  frame.u32(0x7f000001);
  frame.u16(40000);
  frame.u16(40002);
  frame.u16(8 + rtp.length);
  frame.u16(0);
  frame.bytes(rtp);
  return frame.take();
}
