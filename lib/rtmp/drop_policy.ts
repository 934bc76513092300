// What a slow client loses: first video up to the next key frame, then audio; never headers, data or commands.
// Reads only as much of a tag body as this needs (FLV 10.1 E.4.2, E.4.3; Enhanced RTMP v2 headers).
// Role: machine
// Answers to: nothing in siprtmp (defect 10: 30 s of delayed video).

/** How full the send queue is: nothing to do, shed video, shed audio as well. */
export type Congestion = 0 | 1 | 2;

/** Marks of the send queue. */
export interface CongestionLimits {
  /** Shed video from so many unsent bytes on; audio from half way to `hardUnsent`. */
  readonly softUnsent: number;
  /** The connection is closed here. */
  readonly hardUnsent: number;
  /** Shed video from so much lag on; audio from twice as much. */
  readonly maxLagMs: number;
}

/** Judges a send queue. */
export function congestionOf(limits: CongestionLimits, unsent: number, lagMs: number): Congestion {
  const { softUnsent, hardUnsent, maxLagMs } = limits;
  if (unsent >= (softUnsent + hardUnsent) / 2 || lagMs >= 2 * maxLagMs) return 2;
  return unsent >= softUnsent || lagMs >= maxLagMs ? 1 : 0;
}

/** Decides message by message what one stream sends. */
export class DropPolicy {
  /** Video messages not sent. */
  droppedVideo = 0;
  /** Audio messages not sent. */
  droppedAudio = 0;
  #sentVideo = false;
  #awaitingKey = false;

  /** True when the message is to be sent. */
  admit(type: number, body: Uint8Array, congestion: Congestion): boolean {
    if (type === 9) return this.#admitVideo(body, congestion);
    if (type !== 8) return true;
    // Without video there is nothing else to shed.
    const shed = congestion === 2 || (congestion === 1 && !this.#sentVideo);
    if (!shed || isAudioConfig(body)) return true;
    this.droppedAudio++;
    return false;
  }

  /** After a pause: what follows makes sense from a key frame on. */
  awaitKeyFrame(): void {
    this.#awaitingKey = this.#sentVideo;
  }

  #admitVideo(body: Uint8Array, congestion: Congestion): boolean {
    this.#sentVideo = true;
    if (isVideoConfig(body)) return true;
    if (congestion > 0) this.#awaitingKey = true;
    else if (isKeyFrame(body)) this.#awaitingKey = false;
    if (!this.#awaitingKey) return true;
    this.droppedVideo++;
    return false;
  }
}

/** True for a video tag body with a key frame, legacy or enhanced. */
export function isKeyFrame(body: Uint8Array): boolean {
  const first = body[0] ?? 0;
  return ((first >> 4) & 7) === 1;
}

/** True for decoder configuration, end of sequence and command frames: small, and needed later. */
export function isVideoConfig(body: Uint8Array): boolean {
  const first = body[0] ?? 0;
  const packetType = first & 0x0f;
  if (((first >> 4) & 7) === 5) return true; // video info or command frame
  if (first >= 0x80) return packetType === 0 || packetType === 2 || packetType === 4;
  return (packetType === 7 || packetType === 12) && (body[1] === 0 || body[1] === 2); // AVC, HEVC
}

/** True for the AAC or enhanced audio configuration. */
export function isAudioConfig(body: Uint8Array): boolean {
  const first = body[0] ?? 0;
  if (first >> 4 === 10) return body[1] === 0;
  return first >> 4 === 9 && (first & 0x0f) === 0;
}
