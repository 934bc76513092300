import assert from "node:assert/strict";
import { targetsOf } from "../../scripts/compile.ts";
import { TARGETS } from "../../scripts/release/targets.ts";

const SCRIPT = new URL("../../scripts/compile.ts", import.meta.url).pathname;

async function compile(args: string[], env: Record<string, string>): Promise<{ code: number; said: string }> {
  const run = ["run", "-A", "--quiet", SCRIPT, ...args];
  const { code, stderr } = await new Deno.Command(Deno.execPath(), { args: run, env, stdin: "null" })
    .output();
  return { code, said: new TextDecoder().decode(stderr) };
}

Deno.test("without words for this machine, --target for one, --all for every one", () => {
  assert.deepEqual(targetsOf(["--all"]), TARGETS);
  assert.deepEqual(targetsOf(["--target", TARGETS[1]!.name]), [TARGETS[1]]);
  const [own] = targetsOf([]);
  assert.deepEqual([own?.os, own?.arch], [Deno.build.os, Deno.build.arch]);
  for (const args of [["--target"], ["--target", "pdp-11"], ["all"]]) {
    assert.throws(() => targetsOf(args), /usage: .*targets: x86_64-unknown-linux-gnu/);
  }
});

Deno.test("a target that is none, and a compiler that is not there, are one line and exit code 1", async () => {
  const target = await compile(["--target", "pdp-11"], {});
  assert.deepEqual([target.code, target.said.trim().split("\n").length], [1, 1]);
  const compiler = await compile([], { SIPRTMP_DENO: "/nowhere/deno" });
  assert.deepEqual([compiler.code, compiler.said], [
    1,
    "compile: /nowhere/deno is no Deno: /nowhere/deno is not installed\n",
  ]);
});
