// Enhanced RTMP v2 in connect and its answer: which codecs have a FourCC here, and what else is understood.
// Role: wire

import { type AmfObject, getProperty } from "../amf/value.ts";
import { AUDIO_FOURCCS, fourCcText, VIDEO_FOURCCS } from "../media/codec_ids.ts";

export const CAPS_EX = {
  /** The client connects again when it is asked to. */
  RECONNECT: 1,
  /** Tracks beside the default one. */
  MULTITRACK: 2,
  /** Modifiers before the codec of a tag. */
  MODEX: 4,
} as const;

/** Streams pass on every codec; what a call decodes of them is said by `accepted` and by status events. */
const CAN_FORWARD = 4;

function infoOf(codecs: ReadonlyMap<number, unknown>): AmfObject {
  return Object.fromEntries([...codecs.keys()].map((fourCc) => [fourCcText(fourCc), CAN_FORWARD]));
}

const VIDEO = infoOf(VIDEO_FOURCCS);
const AUDIO = infoOf(AUDIO_FOURCCS);

/** What the answer to connect says of this side. */
export const ENHANCED_RTMP: AmfObject = {
  fourCcList: [...Object.keys(VIDEO), ...Object.keys(AUDIO)],
  videoFourCcInfoMap: VIDEO,
  audioFourCcInfoMap: AUDIO,
  capsEx: CAPS_EX.RECONNECT | CAPS_EX.MULTITRACK | CAPS_EX.MODEX,
};

/** True when the properties of connect say that the client understands NetConnection.Connect.ReconnectRequest. */
export function understandsReconnect(properties: AmfObject): boolean {
  const capsEx = getProperty(properties, "capsEx");
  return typeof capsEx === "number" && (capsEx & CAPS_EX.RECONNECT) !== 0;
}
