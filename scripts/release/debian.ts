// What a Debian package says of itself.
// Role: wire

import { ReleaseFault } from "./steps.ts";
import type { Target } from "./targets.ts";

const MAINTAINER = "siprtmp <siprtmp@localhost>";

/** Debian's names of processors. */
const ARCHITECTURES: Readonly<Record<string, string>> = { "x86_64": "amd64", aarch64: "arm64" };

export function architectureOf({ os, arch, name }: Target): string {
  const architecture = os === "linux" ? ARCHITECTURES[arch] : undefined;
  if (architecture === undefined) throw new ReleaseFault(`there is no Debian for ${name}`);
  return architecture;
}

/** A pre-release comes before its release: `~` sorts first. */
export function debianVersion(version: string): string {
  return version.replace("-", "~");
}

export function debianName(version: string, target: Target): string {
  return `siprtmp_${debianVersion(version)}_${architectureOf(target)}.deb`;
}

/** @param size of the executable, in bytes */
export function controlFile(version: string, target: Target, size: number): string {
  return [
    "Package: siprtmp",
    `Version: ${version}`,
    `Architecture: ${architectureOf(target)}`,
    `Maintainer: ${MAINTAINER}`,
    `Installed-Size: ${Math.ceil(size / 1024)}`,
    "Depends: libc6 (>= 2.27), libgcc-s1, passwd",
    "Section: comm",
    "Priority: optional",
    "Description: SIP-RTMP gateway",
    " RTMP programs (OBS, ffmpeg, cameras, pages) become SIP phones, and SIP phones",
    " become RTMP streams: signalling, audio, video, DTMF and messages both ways.",
    "",
  ].join("\n");
}

/** @param created ISO 8601 */
export function changelogFile(version: string, created: string): string {
  const date = new Date(created).toUTCString().replace("GMT", "+0000");
  return `siprtmp (${version}) unstable; urgency=medium\n\n  * NEWS.gz says what is new.\n\n -- ${MAINTAINER}  ${date}\n`;
}

export function copyrightFile(): string {
  return [
    "siprtmp is free software under the GNU General Public License, version 3 or later:",
    "/usr/share/common-licenses/GPL-3. The licence texts of everything in the executable,",
    "codec libraries and runtime among them: LICENCES.txt.gz here, or siprtmp --licences.",
    "Code from FAAD2 is copyright (c) Nero AG, www.nero.com",
    "",
  ].join("\n");
}
