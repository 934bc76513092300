import assert from "node:assert/strict";
import {
  executableName,
  permissionsOf,
  runnerOf,
  type Target,
  TARGETS,
} from "../../../scripts/release/targets.ts";

function named(name: string): Target {
  const target = TARGETS.find((one) => one.name === name);
  assert.ok(target !== undefined, name);
  return target;
}

Deno.test("files are named after version and target; those of Windows end in .exe", () => {
  const [mac, windows] = [named("aarch64-apple-darwin"), named("x86_64-pc-windows-msvc")];
  assert.equal(executableName("1.2.3", mac), "siprtmp-1.2.3-aarch64-apple-darwin");
  assert.equal(executableName("1.2.3", windows), "siprtmp-1.2.3-x86_64-pc-windows-msvc.exe");
  assert.equal(new Set(TARGETS.map((target) => executableName("1", target))).size, TARGETS.length);
});

Deno.test("only Linux may open libraries; nobody runs programs or reads the environment", () => {
  for (const target of TARGETS) {
    const permissions = permissionsOf(target).map((flag) => flag.replace(/^--allow-/, "").replace(/=.*/, ""));
    const most = ["net", "read", "write", "sys", "ffi"];
    assert.deepEqual(permissions, target.os === "linux" ? most : most.slice(0, -1), target.name);
  }
});

Deno.test("a file is run by itself, by qemu, or cannot be run here", () => {
  const machine = { ...Deno.build, os: "linux", arch: "x86_64" } as const;
  assert.deepEqual(runnerOf(named("x86_64-unknown-linux-gnu"), machine), []);
  assert.equal(runnerOf(named("aarch64-unknown-linux-gnu"), machine)?.[0], "qemu-aarch64-static");
  assert.equal(runnerOf(named("x86_64-apple-darwin"), machine), null);
  assert.equal(runnerOf(named("x86_64-pc-windows-msvc"), machine), null);
  assert.equal(runnerOf(named("x86_64-unknown-linux-gnu"), { ...machine, arch: "aarch64" }), null);
});
