// The codec libraries of Debian, native, to compare our WebAssembly modules with: compiled at run time behind the same
// shims, called over whole recordings so that the way in costs nothing. Where there is no compiler or no library,
// one line says so.
// Role: edge

/** One shared object: the library it links, its own macro, and the Debian package with the headers. */
interface Recipe {
  readonly shim: string;
  readonly macro: string;
  readonly library: string;
  readonly headers: string;
  readonly debianPackage: string;
}

const RECIPES = {
  speex: {
    shim: "speex_shim.c",
    macro: "SPEEX",
    library: "speex",
    headers: "/usr/include/speex",
    debianPackage: "libspeex-dev",
  },
  resampler: {
    shim: "resampler_shim.c",
    macro: "RESAMPLER",
    library: "speexdsp",
    headers: "/usr/include/speex",
    debianPackage: "libspeexdsp-dev",
  },
  opus: {
    shim: "opus_shim.c",
    macro: "OPUS",
    library: "opus",
    headers: "/usr/include/opus",
    debianPackage: "libopus-dev",
  },
  aac_decoder: {
    shim: "aac_decoder_shim.c",
    macro: "AAC_DECODER",
    library: "faad",
    headers: "/usr/include",
    debianPackage: "libfaad-dev",
  },
  aac_encoder: {
    shim: "aac_encoder_shim.c",
    macro: "AAC_ENCODER",
    library: "vo-aacenc",
    headers: "/usr/include/vo-aacenc",
    debianPackage: "libvo-aacenc-dev",
  },
} as const satisfies Record<string, Recipe>;

/** A library that can be compared. */
export type NativeName = keyof typeof RECIPES;

const OPEN_2 = { parameters: ["i32", "i32"], result: "pointer" } as const;
const ENCODE_ALL = {
  parameters: ["pointer", "buffer", "i32", "buffer", "i32", "buffer"],
  result: "i32",
} as const;
const DECODE_ALL = {
  parameters: ["pointer", "buffer", "i32", "i32", "buffer", "buffer"],
  result: "i32",
} as const;
const CLOSE = { parameters: ["pointer"], result: "void" } as const;

const SYMBOLS = {
  speex: {
    open_speex_encoder: OPEN_2,
    open_speex_decoder: { parameters: ["i32"], result: "pointer" },
    encode_all: ENCODE_ALL,
    decode_all: DECODE_ALL,
    decode_stream: DECODE_ALL,
    close_codec: CLOSE,
  },
  resampler: {
    open_resampler: { parameters: ["i32", "i32", "i32"], result: "pointer" },
    resample_all: {
      parameters: ["pointer", "buffer", "i32", "i32", "buffer", "i32"],
      result: "i32",
    },
    close_resampler: CLOSE,
  },
  opus: {
    open_opus_encoder: OPEN_2,
    open_opus_decoder: { parameters: ["i32"], result: "pointer" },
    encode_all: ENCODE_ALL,
    decode_all: DECODE_ALL,
    close_encoder: CLOSE,
    close_decoder: CLOSE,
  },
  aac_decoder: {
    open_aac_decoder: { parameters: ["buffer", "i32"], result: "pointer" },
    decode_all: DECODE_ALL,
    close_decoder: CLOSE,
  },
  aac_encoder: {
    open_aac_encoder: OPEN_2,
    encode_all: ENCODE_ALL,
    close_encoder: CLOSE,
  },
} as const satisfies Record<NativeName, Deno.ForeignLibraryInterface>;

/** One native library. */
export type Native<Name extends NativeName> = Deno.DynamicLibrary<(typeof SYMBOLS)[Name]>;

/** A library, or the one line that says why there is none. */
export type NativeOutcome<Name extends NativeName> =
  | { readonly native: Native<Name>; readonly reason: "" }
  | { readonly native: null; readonly reason: string };

const LOOPS = new URL("./codec_loops.c", import.meta.url).pathname;
const SHIMS = new URL("../../scripts/codecs/", import.meta.url).pathname;

/** Compiles and opens one library; it stays open until the process ends. */
export async function openNative<Name extends NativeName>(name: Name): Promise<NativeOutcome<Name>> {
  const { shim, macro, library, headers, debianPackage }: Recipe = RECIPES[name];
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-native-" });
  try {
    const path = `${folder}/${name}.so`;
    const args = [
      "-O2",
      "-w",
      "-shared",
      "-fPIC",
      `-D${macro}`,
      `-DSHIM="${shim}"`,
      `-I${SHIMS}`,
      `-I${headers}`,
    ];
    const compiler = new Deno.Command("cc", {
      args: [...args, LOOPS, "-o", path, `-l${library}`],
      stderr: "piped",
    });
    const { success } = await compiler.output();
    if (!success) {
      return { native: null, reason: `no native ${library} to compare with: install ${debianPackage}` };
    }
    return { native: Deno.dlopen(path, SYMBOLS[name]), reason: "" };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { native: null, reason: `no native ${library} to compare with: there is no C compiler (cc)` };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
