// The kinds of calls: what the client invites with and speaks, what the phone takes.
// Role: wire

import { speexSample } from "../../lib/codecs/sample.ts";
import type { CallKind } from "./protocol.ts";
import { createPayload, type Payload, PAYLOADS } from "./stamp.ts";

/** A kind of call. */
export interface KindOfCall {
  /** Codec tokens of the invite. */
  readonly tokens: readonly string[];
  /** Bodies of the audio tags, all of one length. */
  readonly bodies: readonly Uint8Array[];
  /** The encoding the phone takes, as in a=rtpmap. */
  readonly encoding: RegExp;
  /** Whether payloads pass as they are. */
  readonly stamped: boolean;
  /** Whether there are pictures. */
  readonly video: boolean;
  /** For the head of a table. */
  readonly text: string;
}

/** What a call of this kind is. */
export function kindOfCall(kind: CallKind): KindOfCall {
  switch (kind) {
    case "speex":
      return passing("speex", /^speex\/16000/i);
    case "pcmu":
      return passing("pcmu", /^PCMU\/8000/i);
    case "h264": {
      const audio = passing("speex", /^speex\/16000/i);
      const text = `H.264 at 1 Mbit/s, 25 pictures a second, beside ${audio.text}`;
      return { ...audio, tokens: [...audio.tokens, "h264"], video: true, text };
    }
    case "transcoded":
      return {
        tokens: [PAYLOADS.speex.token],
        bodies: speexSample().map((packet) => Uint8Array.of(PAYLOADS.speex.tag, ...packet)),
        encoding: /^PCMU\/8000/i,
        stamped: false,
        video: false,
        text: "Speex wideband of the client, PCMU of the phone, transcoded both ways",
      };
  }
}

function passing(payload: Payload, encoding: RegExp): KindOfCall {
  const { token, tag, text } = PAYLOADS[payload];
  const bodies = [Uint8Array.of(tag, ...createPayload(payload))];
  return { tokens: [token], bodies, encoding, stamped: true, video: false, text };
}
