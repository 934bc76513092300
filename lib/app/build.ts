// How the program was made and is run: from its source by Deno, or as one executable. What `--version` and `--licences` print,
// and how its user calls it.
// Role: wire

import { version } from "../config/config.ts";

/** From where the program runs. */
export type Build =
  | { readonly type: "source" }
  | {
    readonly type: "executable";
    /** Short id of the commit it was made from. */
    readonly commit: string;
    /** As compilers name it: x86_64-unknown-linux-gnu. */
    readonly target: string;
    /** Licence texts of everything in the file; null: it was compiled without them. */
    licences(): string | null;
  };

/** What runs the program. */
export interface RuntimeVersions {
  readonly deno: string;
  readonly v8: string;
}

export interface CodecNames {
  /** Those that audio can be converted between. */
  readonly transcodable: readonly string[];
  /** Modules that were not built. */
  readonly missing: readonly string[];
}

/** What a command is typed after: `siprtmp call ...`, `deno task call ...`. */
export function commandPrefix(build: Build): string {
  return build.type === "executable" ? "siprtmp" : "deno task";
}

/** What to do about missing codec modules, for the log. */
export function codecAdvice(build: Build): string {
  return build.type === "executable" ? "this file was made without them" : "deno task codecs builds them";
}

export function formatVersion(build: Build, { deno, v8 }: RuntimeVersions, codecs: CodecNames): string {
  const made = build.type === "executable" ? `commit ${build.commit}, ${build.target}` : "from source";
  const missing = codecs.missing.length === 0 ? "" : ` (not built: ${codecs.missing.join(", ")})`;
  return [
    `siprtmp ${version} (${made})`,
    `runtime: Deno ${deno}, V8 ${v8}`,
    `codecs: ${codecs.transcodable.join(", ") || "audio passes through as it is"}${missing}`,
    "",
    licenceNotices,
  ].join("\n");
}

export function formatLicences(build: Build): string {
  const texts = build.type === "executable" ? build.licences() : null;
  return texts ?? `${licenceNotices}\n\nLicence texts: docs/licences.md`;
}

/** Whose work is in the program, in short; FAAD2 asks for its line where the user sees it. */
export const licenceNotices: string = [
  "siprtmp is free software under the GNU General Public License, version 3 or later, without any warranty.",
  "The codec modules contain other people's work:",
  "  Speex and speexdsp 1.2.1   BSD, Xiph.org Foundation, Jean-Marc Valin and others",
  "  Opus 1.3.1                 BSD, Xiph.Org, Skype Limited, Octasic and others",
  "  vo-aacenc 0.1.3            Apache License 2.0, VisualOn, Inc.",
  "  FAAD2 2.10.1               GPL, version 2 or later",
  "Code from FAAD2 is copyright (c) Nero AG, www.nero.com",
  "All licence texts: siprtmp --licences",
].join("\n");
