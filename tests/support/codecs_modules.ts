// The codec libraries one by one, for their own tests; null where `deno task codecs` has built none.
// Role: edge

import { createAacDecoderLibrary, createAacEncoderLibrary } from "../../lib/codecs/aac.ts";
import type { ModuleName } from "../../lib/codecs/codecs.ts";
import { readModule } from "../../lib/codecs/load.ts";
import { createOpusLibrary } from "../../lib/codecs/opus.ts";
import { createResamplerLibrary } from "../../lib/codecs/resampler.ts";
import { createSpeexLibrary } from "../../lib/codecs/speex.ts";

async function open<T>(name: ModuleName, create: (module: WebAssembly.Module) => T): Promise<T | null> {
  const bytes = await readModule(name);
  return bytes === null ? null : create(new WebAssembly.Module(bytes.slice()));
}

/** Every library. */
export const libraries = {
  speex: await open("speex", createSpeexLibrary),
  resampler: await open("resampler", createResamplerLibrary),
  opus: await open("opus", createOpusLibrary),
  aacDecoder: await open("aac_decoder", createAacDecoderLibrary),
  aacEncoder: await open("aac_encoder", createAacEncoderLibrary),
};
