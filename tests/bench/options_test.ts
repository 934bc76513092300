import assert from "node:assert/strict";
import { readBenchOptions, scenarioNames, usage } from "../../bench/control/options.ts";

Deno.test("without options everything but the soak is measured, and rows grow", () => {
  const options = readBenchOptions([])!;
  assert.deepEqual(options.only, scenarioNames.filter((name) => name !== "soak"));
  assert.deepEqual([options.counts.at(-1), options.growth], [500, 1.25]);
});

Deno.test("given counts are the only rows", () => {
  const options = readBenchOptions(["--only=calls", "--n=300", "--seconds=10"])!;
  assert.deepEqual([options.only, options.counts, options.growth, options.seconds], [
    ["calls"],
    [300],
    null,
    10,
  ]);
});

Deno.test("options that may come again are kept in order", () => {
  const options = readBenchOptions([
    "--deno-flag=--cpu-prof",
    "--deno-flag=--cpu-prof-dir=x",
    "--gateway-arg=-d",
  ])!;
  assert.deepEqual(options.denoFlags, ["--cpu-prof", "--cpu-prof-dir=x"]);
  assert.deepEqual(options.gatewayArgs, ["-d"]);
});

Deno.test("what is not known or makes no sense is refused", () => {
  const wrong = [
    "--what",
    "--n=0",
    "--n=a",
    "--n=1.5",
    "--seconds=0",
    "--seconds",
    "--only=all",
    "--kind=opus",
    "x",
  ];
  for (const arg of [...wrong, "--no-relay=1"]) assert.equal(readBenchOptions([arg]), null, arg);
});

Deno.test("the usage names every option that is read", () => {
  const named = [...usage.matchAll(/^ {2}--([a-z0-9-]+)(=\S+)?/gm)].map(([, name, value]) => [name!, value]);
  assert.ok(named.length >= 17);
  for (const [name, value] of named) {
    const options = readBenchOptions([`--${name}${value?.replace("NAME,...", "calls") ?? ""}`]);
    assert.notEqual(options, null, name);
  }
});
