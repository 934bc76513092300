// What one signalling message costs to read and write.

import { encodeUtf8 } from "../lib/base/bytes.ts";
import { decodeAmf0, encodeAmf0 } from "../lib/amf/amf0.ts";
import { formatSdp, parseSdp } from "../lib/sdp/description.ts";
import { encodeSipMessage } from "../lib/sip/message/message.ts";
import { decodeSipDatagram } from "../lib/sip/message/parser.ts";

const SDP = [
  "v=0",
  "o=- 1 1 IN IP4 192.0.2.1",
  "s=-",
  "c=IN IP4 192.0.2.1",
  "t=0 0",
  "m=audio 10000 RTP/AVP 96 0 8 101",
  "a=rtpmap:96 speex/16000",
  "a=rtpmap:0 PCMU/8000",
  "a=rtpmap:8 PCMA/8000",
  "a=rtpmap:101 telephone-event/8000",
  "a=fmtp:101 0-15",
  "",
].join("\r\n");

const INVITE = encodeUtf8([
  "INVITE sip:bob@example.com SIP/2.0",
  "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabcdef;rport",
  "Max-Forwards: 70",
  'From: "Alice" <sip:alice@example.com>;tag=1928301774',
  "To: <sip:bob@example.com>",
  "Call-ID: a84b4c76e66710",
  "CSeq: 314159 INVITE",
  "Contact: <sip:alice@192.0.2.1:5060;line=k3x9>",
  "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS",
  "Content-Type: application/sdp",
  `Content-Length: ${SDP.length}`,
  "",
  SDP,
].join("\r\n"));

const parsed = decodeSipDatagram(INVITE).message;
const description = parseSdp(SDP);
const command = encodeAmf0(["invite", 2, null, "sip:bob@example.com", "wideband", "pcmu", "dtmf"]);

Deno.bench({ name: "SIP INVITE in", group: "sip" }, () => void decodeSipDatagram(INVITE));
Deno.bench({ name: "SIP INVITE out", group: "sip" }, () => void encodeSipMessage(parsed));
Deno.bench({ name: "SDP in", group: "sdp" }, () => void parseSdp(SDP));
Deno.bench({ name: "SDP out", group: "sdp" }, () => void formatSdp(description));
Deno.bench({ name: "AMF0 command in", group: "amf" }, () => void decodeAmf0(command));
Deno.bench(
  { name: "AMF0 command out", group: "amf" },
  () => void encodeAmf0(["invite", 2, null, "sip:bob@example.com"]),
);
