// The frame type of H.264 tags, set right: some senders flag every picture as an inter picture, or every one as a key
// picture. Players, files and whoever loses pictures go by the flag, so it is mended where a stream comes in.
// Role: machine

import { lengthSizeOf } from "./avc_config.ts";
import { isKeyPicture, PictureUnits } from "./picture_units.ts";
import { isFrame, type Tag } from "./tag.ts";

const KEY = 0x10;
const INTER = 0x20;

/** Mends the tags of one publisher. */
export class KeyFlag {
  readonly #units = new PictureUnits();
  #copy = new Uint8Array(0);

  /**
   * The body of a video tag as it should be: itself, or a copy that is valid until the next call. `tag` is what was
   * read of it, and is set right as well.
   */
  mended(tag: Tag, body: Uint8Array): Uint8Array {
    if (tag.codec !== "h264" || tag.track !== 0 || tag.multitrack === "many" || tag.cut) return body;
    if (tag.content === "config") this.#units.reset(lengthSizeOf(body.subarray(tag.start, tag.end)));
    if (!isFrame(tag) || tag.content === "other") return body;
    const key = isKeyPicture(this.#units, body, tag.start, tag.end, tag.flaggedKey);
    if (key === tag.flaggedKey) return body;
    tag.flaggedKey = key;
    tag.content = key ? "key" : "frame";
    return this.#withFrameType(body, key ? KEY : INTER);
  }

  #withFrameType(body: Uint8Array, frameType: number): Uint8Array {
    if (this.#copy.length < body.length) this.#copy = new Uint8Array(body.length);
    this.#copy.set(body);
    this.#copy[0] = body[0]! & 0x8f | frameType;
    return this.#copy.subarray(0, body.length);
  }
}
