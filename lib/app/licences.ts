// Whose work is in the program: what its licences want said wherever it is passed on (docs/licences.md).
// Answers to: nothing; siprtmp left its native modules to whoever built them.
// Role: wire

/** What `--version` prints below the version. */
export const licenceNotices: string = [
  "siprtmp is free software under the GNU General Public License, version 3 or later, without any warranty.",
  "The codec modules, where they were built (deno task codecs), contain other people's work:",
  "  Speex and speexdsp 1.2.1   BSD, Xiph.org Foundation, Jean-Marc Valin and others",
  "  Opus 1.3.1                 BSD, Xiph.Org, Skype Limited, Octasic and others",
  "  vo-aacenc 0.1.3            Apache License 2.0, VisualOn, Inc.",
  "  FAAD2 2.10.1               GPL, version 2 or later",
  "Code from FAAD2 is copyright (c) Nero AG, www.nero.com",
  "Licence texts and npm packages: docs/licences.md",
].join("\n");
