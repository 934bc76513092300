// Pictures as players and files need them, whatever their publisher made of them: the frame type of H.264 and HEVC set
// right, H.264 with lengths before its NAL units, and a configuration made of parameter sets that came in band.
// Role: machine

import { ByteWriter } from "../../base/bytes.ts";
import { lengthSizeOf } from "./avc_config.ts";
import { NAL, nalType } from "./slice.ts";
import { ParameterSets } from "./parameter_sets.ts";
import { isKeyPicture, PictureUnits } from "./picture_units.ts";
import { isFrame, type Tag } from "../../media/tag.ts";

const KEY = 0x10;
const INTER = 0x20;
/** HEVC: NAL units of pictures to start at (ITU-T H.265 table 7-1). */
const HEVC_IRAP = [16, 23] as const;
/** A configuration tag of H.264, in front of its record. */
const CONFIG_HEADER = [0x17, 0, 0, 0, 0] as const;

/** Mends the tags of one publisher, those of the default track. */
export class PictureMender {
  readonly #units = new PictureUnits();
  readonly #sets = new ParameterSets();
  readonly #copy = new ByteWriter(256);
  #configured = false;
  #config: Uint8Array | null = null;

  /**
   * The body of a video tag as it should be: itself, or a copy that is valid until the next call. `tag` is what was
   * read of it, and is set right as well.
   */
  mended(tag: Tag, body: Uint8Array): Uint8Array {
    this.#config = null;
    if (tag.track !== 0 || tag.multitrack === "many" || tag.cut) return body;
    if (tag.codec === "hevc") return this.#mendHevc(tag, body);
    if (tag.codec !== "h264") return body;
    if (tag.content === "config") this.#noteConfig(body.subarray(tag.start, tag.end));
    return isFrame(tag) && tag.content !== "other" ? this.#mendH264(tag, body) : body;
  }

  /** The configuration tag to be sent before what mended() gave last; null: none is missing. */
  get config(): Uint8Array | null {
    return this.#config;
  }

  #noteConfig(record: Uint8Array): void {
    this.#configured = record.length > 0;
    this.#units.reset(lengthSizeOf(record));
  }

  #mendH264(tag: Tag, body: Uint8Array): Uint8Array {
    const units = this.#units;
    const key = isKeyPicture(units, body, tag.start, tag.end, tag.flaggedKey);
    if (!this.#configured) this.#takeSets(tag, body);
    const flag = key === tag.flaggedKey ? null : key ? KEY : INTER;
    setKey(tag, key);
    const canRewrite = units.lengthSize === 4 && (this.#configured || this.#sets.complete);
    if (!units.plain && canRewrite && units.open(body, tag.start, tag.end, key)) {
      return this.#withLengths(tag, body, flag);
    }
    return flag === null ? body : this.#withFrameType(body, flag);
  }

  /** Sets that come, or change, make a configuration as long as the publisher sends none. */
  #takeSets({ start, end }: Tag, body: Uint8Array): void {
    const units = this.#units;
    let changed = false;
    if (!units.open(body, start, end, false)) return;
    while (units.next()) {
      const type = nalType(body[units.start]!);
      if (type !== NAL.sps && type !== NAL.pps) continue;
      changed = this.#sets.update(body.subarray(units.start, units.end)) || changed;
    }
    if (!changed || !this.#sets.complete) return;
    const writer = new ByteWriter(128);
    for (const octet of CONFIG_HEADER) writer.u8(octet);
    this.#sets.encodeConfig(writer);
    this.#config = writer.take();
  }

  #mendHevc(tag: Tag, body: Uint8Array): Uint8Array {
    const units = this.#units;
    if (tag.content !== "frame" || !units.open(body, tag.start, tag.end, false)) return body;
    while (units.next()) {
      const type = body[units.start]! >> 1 & 63;
      if (type < HEVC_IRAP[0] || type > HEVC_IRAP[1]) continue;
      setKey(tag, true);
      return this.#withFrameType(body, KEY);
    }
    return body;
  }

  #withLengths(tag: Tag, body: Uint8Array, flag: number | null): Uint8Array {
    const [copy, units] = [this.#copy, this.#units];
    copy.reset();
    copy.bytes(body.subarray(0, tag.start));
    if (flag !== null) copy.setU8(0, body[0]! & 0x8f | flag);
    while (units.next()) {
      copy.u32(units.end - units.start);
      copy.bytes(body.subarray(units.start, units.end));
    }
    tag.end = copy.length;
    return copy.view();
  }

  #withFrameType(body: Uint8Array, flag: number): Uint8Array {
    this.#copy.reset();
    this.#copy.bytes(body);
    this.#copy.setU8(0, body[0]! & 0x8f | flag);
    return this.#copy.view();
  }
}

function setKey(tag: Tag, key: boolean): void {
  tag.flaggedKey = key;
  tag.content = key ? "key" : "frame";
}
