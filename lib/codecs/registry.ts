// The codecs of siprtmp, one row each. Whoever needs to know something of a codec asks here, once a call at most. A
// gateway takes any registry: one more row is one more codec.
// Role: wire

import { aac } from "./aac.ts";
import type { Codec, CodecToken } from "./codec.ts";
import { pcma, pcmu } from "./g711.ts";
import { g722 } from "./g722.ts";
import { h264 } from "./h264.ts";
import { opus } from "./opus.ts";
import { speex } from "./speex.ts";
import { telephoneEvent } from "./telephone_event.ts";
import { xflv } from "./xflv.ts";

const CODECS = [speex, pcmu, pcma, g722, aac, opus, telephoneEvent, h264, xflv] as const;

export type BuiltInCodec = typeof CODECS[number]["name"];

export interface NamedToken extends CodecToken {
  readonly kind: "audio" | "video";
  /** What the client sends and plays; null: it carries no media of the client. */
  readonly client: string | null;
  readonly remote: string;
}

export class CodecRegistry {
  readonly codecs: readonly Codec[];
  readonly tokens: readonly NamedToken[];

  constructor(codecs: readonly Codec[]) {
    this.codecs = codecs;
    this.tokens = codecs.flatMap(({ name, kind, tokens }) =>
      tokens.map((token): NamedToken => ({ kind, client: name, remote: name, ...token }))
    );
  }

  with(codec: Codec): CodecRegistry {
    return new CodecRegistry([...this.codecs, codec]);
  }

  /** Null for names that are none. */
  named(name: string): Codec | null {
    return this.codecs.find((codec) => codec.name === name) ?? null;
  }

  ofEncoding(encodingName: string): Codec | null {
    const name = encodingName.toLowerCase();
    return this.codecs.find((codec) => codec.encodingName === name) ?? null;
  }

  /** By Tag.codecId of an audio tag; null: no call carries it. */
  ofFlvId(codecId: number): Codec | null {
    return this.codecs.find(({ flv }) => flv?.ids.includes(codecId) === true) ?? null;
  }

  token(text: string): NamedToken | null {
    const token = text.trim().toLowerCase();
    return this.tokens.find((known) => known.prefix === true && token.startsWith(known.token)) ??
      this.tokens.find((known) => known.token === token) ?? null;
  }

  tokensOf({ tokens }: Codec): string[] {
    return tokens.filter(({ client }) => client === undefined).map(({ token }) => token);
  }

  /** What a client may send into a call, best sound first: "AAC, Opus, Speex or G.711". @param without a codec to leave out */
  sendable(without: Codec | null = null): string {
    const rateOf = ({ transcode }: Codec) => transcode?.client?.sampleRate ?? 0;
    const codecs = this.codecs.filter((codec) => codec.flv !== undefined && codec !== without)
      .sort((a, b) => rateOf(b) - rateOf(a));
    const labels = [...new Set(codecs.map(({ label }) => label.split(" (")[0]!))];
    const last = labels.pop() ?? "";
    return labels.length === 0 ? last : `${labels.join(", ")} or ${last}`;
  }
}

export const builtInCodecs: CodecRegistry = new CodecRegistry(CODECS);
