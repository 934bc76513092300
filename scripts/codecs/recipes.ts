// The codec modules: which libraries, pinned how, compiled with what.
// No -ffast-math anywhere: Speex in WebAssembly gives the packets and samples of native libspeex, bit by bit.
// Role: wire

import type { ArchiveTexts, Recipe } from "./recipe.ts";

const words = (text: string): string[] => text.trim().split(/\s+/);

/** The sources of libspeex proper; its FFT is only used by the psychoacoustics that nobody switches on. */
const SPEEX_SOURCES = words(`
  bits cb_search exc_10_16_table exc_10_32_table exc_20_32_table exc_5_256_table exc_5_64_table exc_8_128_table
  filters gain_table gain_table_lbr hexc_10_32_table hexc_table high_lsp_tables lpc lsp lsp_tables_nb ltp modes
  modes_wb nb_celp quant_lsp sb_celp speex speex_callbacks speex_header stereo vbr vq window`);

/** A bug in the library traps, and the host sees it; nothing is printed. */
const SPEEX_OS_SUPPORT = `
#define OVERRIDE_SPEEX_FATAL
static inline void _speex_fatal(const char *s, const char *f, int l) { (void)s; (void)f; (void)l; __builtin_trap(); }
#define OVERRIDE_SPEEX_WARNING
static inline void speex_warning(const char *s) { (void)s; }
#define OVERRIDE_SPEEX_WARNING_INT
static inline void speex_warning_int(const char *s, int v) { (void)s; (void)v; }
#define OVERRIDE_SPEEX_NOTIFY
static inline void speex_notify(const char *s) { (void)s; }
#define OVERRIDE_SPEEX_PUTC
static inline void _speex_putc(int c, void *f) { (void)c; (void)f; }
`;

const SPEEX_TYPES = `#pragma once
#include <stdint.h>
typedef int16_t spx_int16_t; typedef uint16_t spx_uint16_t;
typedef int32_t spx_int32_t; typedef uint32_t spx_uint32_t;
`;

const SPEEX: Recipe = {
  name: "speex",
  title: "Speex",
  archive: {
    fileName: "speex-1.2.1.tar.gz",
    sha256: "4b44d4f2b38a370a2d98a78329fefc56a0cf93d1c1be70029217baae6628feea",
    urls: xiphUrls("speex", "speex-1.2.1.tar.gz"),
    debianPackage: "speex",
  },
  sha256: "753bcdbaa2b9e62f23be732bdb4753ce2ec194397c1506e78362fa1166eba83f",
  keep: /^(?:libspeex|include\/speex)\/[^/]+\.[ch]$/,
  sources: () => SPEEX_SOURCES.map((name) => `libspeex/${name}.c`),
  own: ["speex_shim.c", "memory.h", "xmmintrin.h"],
  includes: ["include", "libspeex"],
  defines: words(`FLOATING_POINT _USE_SSE VAR_ARRAYS RELEASE EXPORT= DISABLE_WARNINGS DISABLE_NOTIFICATIONS
    SPEEX_VERSION="speex-1.2.1" SPEEX_EXTRA_VERSION="" SPEEX_MAJOR_VERSION=1 SPEEX_MINOR_VERSION=1
    SPEEX_MICRO_VERSION=17 OS_SUPPORT_CUSTOM`),
  generated: { "os_support_custom.h": SPEEX_OS_SUPPORT, "include/speex/speex_config_types.h": SPEEX_TYPES },
};

const RESAMPLER: Recipe = {
  name: "resampler",
  title: "resampling",
  archive: {
    fileName: "speexdsp-1.2.1.tar.gz",
    sha256: "8c777343e4a6399569c72abc38a95b24db56882c83dbdb6c6424a5f4aeb54d3d",
    urls: xiphUrls("speex", "speexdsp-1.2.1.tar.gz"),
    debianPackage: "speexdsp",
  },
  sha256: "f5afc812b46e005aea0c6b8e963dd1f347ab6cd98fc4b50fb4c1ac2fcdf70395",
  keep: /^(?:libspeexdsp\/(?:resample|arch|resample_sse)|include\/speex\/speex_resampler)\.?[a-z_]*\.?[ch]$/,
  sources: () => ["libspeexdsp/resample.c"],
  own: ["resampler_shim.c", "memory.h", "xmmintrin.h"],
  includes: ["include/speex", "libspeexdsp"],
  defines: words("OUTSIDE_SPEEX FLOATING_POINT USE_SSE VAR_ARRAYS EXPORT= RANDOM_PREFIX=siprtmp"),
  generated: { "include/speex/speexdsp_config_types.h": SPEEX_TYPES },
};

const OPUS: Recipe = {
  name: "opus",
  title: "Opus",
  archive: {
    fileName: "opus-1.3.1.tar.gz",
    sha256: "65b58e1e25b2a114157014736a3d9dfeaad8d41be1c8179866f144a2fb44ff9d",
    urls: xiphUrls("opus", "opus-1.3.1.tar.gz"),
    debianPackage: "opus",
  },
  sha256: "7d53b3494e6a3c6dcb3ec241b4e460e43e8a919e20eb0d809d72dd7ad2dd8521",
  keep: /^(?:(?:celt|silk|silk\/float|src|include)\/[^/]+\.[ch]|[a-z]+_sources\.mk)$/,
  sources: opusSources,
  own: ["opus_shim.c", "memory.h"],
  includes: ["include", "celt", "silk", "silk/float"],
  defines: words(
    "OPUS_BUILD VAR_ARRAYS ENABLE_HARDENING OVERRIDE_celt_fatal HAVE_LRINTF HAVE_LRINT HAVE_STDINT_H",
  ),
};

const AAC_DECODER: Recipe = {
  name: "aac_decoder",
  title: "AAC decoding",
  archive: {
    fileName: "faad2-2.10.1.tar.gz",
    sha256: "4c16c71295ca0cbf7c3dfe98eb11d8fa8d0ac3042e41604cfd6cc11a408cf264",
    urls: ["https://github.com/knik0/faad2/archive/refs/tags/2.10.1.tar.gz"],
    debianPackage: "faad2",
  },
  sha256: "3b24181ccca843b2370cb26ba975b8a3c010cb0d7c7d3ec926d4ba6e96b8c666",
  keep: /^(?:libfaad|libfaad\/codebook|include)\/[^/]+\.[ch]$/,
  sources: () =>
    words(
      `bits cfft common decoder drc error filtbank huffman is mdct mp4 ms output pns pulse specrec syntax tns`,
    )
      .map((name) => `libfaad/${name}.c`),
  own: ["aac_decoder_shim.c", "memory.h"],
  includes: ["include", "libfaad"],
  defines: words(`LC_ONLY_DECODER STDC_HEADERS HAVE_STDINT_H HAVE_INTTYPES_H HAVE_STRING_H HAVE_MEMCPY
    HAVE_STRCHR HAVE_LRINTF PACKAGE_VERSION="2.10.1"`),
  // Without spectral band replication HE-AAC gives its core layer: half the rate, all that a telephone can use.
  edits: [
    ["libfaad/common.h", "\n#define SBR_DEC", "\n"],
    ["libfaad/common.h", "\n#define PS_DEC", "\n"],
    ["libfaad/syntax.c", "fprintf(stderr,", "(void)(0,"], // nothing is printed
  ],
};

const AAC_ENCODER: Recipe = {
  name: "aac_encoder",
  title: "AAC encoding",
  archive: {
    fileName: "vo-aacenc-0.1.3.tar.gz",
    sha256: "e51a7477a359f18df7c4f82d195dab4e14e7414cbd48cf79cc195fc446850f36",
    urls: ["https://downloads.sourceforge.net/opencore-amr/vo-aacenc-0.1.3.tar.gz"],
    debianPackage: "vo-aacenc",
  },
  sha256: "d17bbee37c99f35f3486341a0dab30212fcd647bc9793d6fb96f1d8e6a5579d3",
  keep: /^(?:aacenc\/(?:src|inc|basic_op)|common|common\/include)\/[^/]+\.[ch]$/,
  sources: (texts) =>
    [...texts.keys()].filter((path) => /^(?:aacenc\/(?:src|basic_op)\/\w+|common\/cmnMemory)\.c$/.test(path))
      .sort(),
  own: ["aac_encoder_shim.c", "memory.h"],
  includes: ["aacenc/inc", "aacenc/basic_op", "common/include"],
  defines: [],
};

/** Every module, greatest effort first. */
export const RECIPES: readonly Recipe[] = [OPUS, AAC_ENCODER, AAC_DECODER, SPEEX, RESAMPLER];

function xiphUrls(folder: string, fileName: string): string[] {
  return [
    `https://downloads.xiph.org/releases/${folder}/${fileName}`,
    `https://ftp.osuosl.org/pub/xiph/releases/${folder}/${fileName}`,
  ];
}

/** The portable files that the library's own make lists name, for floating point. */
function opusSources(texts: ArchiveTexts): string[] {
  const wanted = ["CELT_SOURCES", "SILK_SOURCES", "SILK_SOURCES_FLOAT", "OPUS_SOURCES", "OPUS_SOURCES_FLOAT"];
  const found = new Map<string, string[]>();
  for (const [path, text] of texts) {
    if (!path.endsWith(".mk")) continue;
    for (const [, name, list] of text.matchAll(/^(\w+) =((?:[^\n]*\\\n)*[^\n]*)/gm)) {
      found.set(name!, words(list!.replaceAll("\\\n", " ")));
    }
  }
  return wanted.flatMap((name) => found.get(name) ?? []);
}
