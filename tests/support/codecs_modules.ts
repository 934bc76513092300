// The codec libraries one by one, for their own tests; null where `deno task codecs` has built none.
// Role: edge

import { AAC_DECODER, AAC_ENCODER } from "../../lib/codecs/aac.ts";
import { readModule } from "../../lib/codecs/load.ts";
import { OPUS } from "../../lib/codecs/opus.ts";
import { RESAMPLER } from "../../lib/codecs/codecs.ts";
import { SPEEX } from "../../lib/codecs/speex.ts";
import { CodecLibrary, type CodecModule, type ModuleExports } from "../../lib/codecs/wasm_library.ts";

async function open<E extends ModuleExports>(module: CodecModule<E>): Promise<CodecLibrary<E> | null> {
  const bytes = await readModule(module.file);
  return bytes === null ? null : new CodecLibrary(new WebAssembly.Module(bytes.slice()), module);
}

/** Every library. */
export const libraries = {
  speex: await open(SPEEX),
  resampler: await open(RESAMPLER),
  opus: await open(OPUS),
  aacDecoder: await open(AAC_DECODER),
  aacEncoder: await open(AAC_ENCODER),
};
