// What is in an executable beside our own code and npm packages: codec libraries and the parts of Deno's runtime, with their
// licences as SPDX names them.
// Role: wire

/** By the name of their source archives. */
export const CODEC_LICENCES: Readonly<Record<string, string>> = {
  speex: "BSD-3-Clause",
  speexdsp: "BSD-3-Clause",
  opus: "BSD-3-Clause",
  "vo-aacenc": "Apache-2.0",
  faad2: "GPL-2.0-or-later",
};

export interface RuntimePart {
  readonly name: string;
  readonly licence: string;
  readonly copyright: string;
}

/** The large ones; the Rust libraries that Deno is linked with are listed by its own lock file of that version. */
export const RUNTIME_PARTS: readonly RuntimePart[] = [
  { name: "Deno", licence: "MIT", copyright: "the Deno authors" },
  { name: "V8", licence: "BSD-3-Clause", copyright: "the V8 project authors" },
  { name: "ICU", licence: "Unicode-3.0", copyright: "Unicode, Inc. and others" },
  { name: "SQLite", licence: "blessing", copyright: "none: public domain" },
  { name: "zlib", licence: "Zlib", copyright: "Jean-loup Gailly and Mark Adler" },
  { name: "Brotli", licence: "MIT", copyright: "the Brotli authors" },
  { name: "Zstandard", licence: "BSD-3-Clause", copyright: "Meta Platforms, Inc. and affiliates" },
  { name: "libffi", licence: "MIT", copyright: "Anthony Green, Red Hat, Inc. and others" },
  {
    name: "AWS-LC",
    licence: "ISC AND OpenSSL AND Apache-2.0",
    copyright: "Amazon.com, Inc., Google Inc., the OpenSSL Project",
  },
  {
    name: "ring",
    licence: "ISC AND OpenSSL AND Apache-2.0",
    copyright: "Brian Smith, Google Inc., the OpenSSL Project",
  },
  { name: "rustls", licence: "Apache-2.0 OR ISC OR MIT", copyright: "the rustls authors" },
  { name: "Tokio", licence: "MIT", copyright: "Tokio contributors" },
  { name: "hyper", licence: "MIT", copyright: "Sean McArthur and others" },
  { name: "Rust standard library", licence: "MIT OR Apache-2.0", copyright: "the Rust project contributors" },
];
