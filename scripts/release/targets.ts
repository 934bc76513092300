// The machines that siprtmp is compiled for.
// Role: wire

export interface Target {
  /** As compilers name it. */
  readonly name: string;
  readonly os: typeof Deno.build.os;
  readonly arch: typeof Deno.build.arch;
  /** First bytes of its executables, hexadecimal. */
  readonly magic: string;
}

export const TARGETS: readonly Target[] = [
  { name: "x86_64-unknown-linux-gnu", os: "linux", arch: "x86_64", magic: "7f454c46" },
  { name: "aarch64-unknown-linux-gnu", os: "linux", arch: "aarch64", magic: "7f454c46" },
  { name: "aarch64-apple-darwin", os: "darwin", arch: "aarch64", magic: "cffaedfe" },
  { name: "x86_64-apple-darwin", os: "darwin", arch: "x86_64", magic: "cffaedfe" },
  { name: "x86_64-pc-windows-msvc", os: "windows", arch: "x86_64", magic: "4d5a" },
];

export function executableName(version: string, target: Target): string {
  return `siprtmp-${version}-${target.name}${target.os === "windows" ? ".exe" : ""}`;
}

/** A folder with the executable and what goes with it, as a gzipped tar. */
export function archiveName(version: string, target: Target): string {
  return `siprtmp-${version}-${target.name}.tar.gz`;
}

/** How an executable is run where this is called; null: it cannot be. */
export function runnerOf(target: Target, machine: typeof Deno.build): readonly string[] | null {
  if (target.os !== machine.os) return null;
  if (target.arch === machine.arch) return [];
  if (target.os !== "linux" || target.arch !== "aarch64") return null;
  return ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"];
}

/**
 * What is baked in is the most that any configuration needs; the program gives up what this one does not need before its
 * first port is open (lib/net/permissions.ts).
 */
export function permissionsOf({ os }: Target): string[] {
  const all = ["--allow-net", "--allow-read", "--allow-write", "--allow-sys=networkInterfaces"];
  return os === "linux" ? [...all, "--allow-ffi"] : all; // system calls are made on Linux alone
}
