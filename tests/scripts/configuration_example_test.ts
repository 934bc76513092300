import assert from "node:assert/strict";
import { accountKeys } from "../../lib/config/accounts.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { parseConfigFile } from "../../lib/config/config_file.ts";
import { dialKeys } from "../../lib/config/dial_plan.ts";
import { settings } from "../../lib/config/settings.ts";
import { formatExample } from "../../scripts/configuration_example.ts";

const text = formatExample();

/** Every example in force, secrets written. */
const uncommented = text.replace(/^# (\[\[\w+\]\]|[\w-]+ = )/gm, "$1").replaceAll(
  '= ""',
  '= "a-secret-of-this-test"',
);

Deno.test("deploy/siprtmp.toml is what the settings give (else: deno task docs:configuration)", async () => {
  const file = new URL("../../deploy/siprtmp.toml", import.meta.url);
  assert.equal(await Deno.readTextFile(file), text);
});

Deno.test("as it is it changes nothing; no line is longer than a terminal", () => {
  const plain = buildConfig({ flags: {} });
  const file = { name: "siprtmp.toml", text };
  assert.deepEqual(buildConfig({ flags: {}, file }), plain);
  for (const line of text.split("\n")) assert.ok(line.length <= 100, line);
});

Deno.test("every key is there, and can be used as it stands", () => {
  const read = parseConfigFile({ name: "siprtmp.toml", text: uncommented }, settings);
  for (const name of Object.keys(settings)) assert.ok(name in read, name);
  const [dial] = read.dial as Record<string, unknown>[];
  assert.deepEqual(Object.keys(accountKeys).filter((key) => !uncommented.includes(`\n${key} = `)), []);
  assert.ok(Object.keys(dialKeys).every((key) => key in dial!));
  const config = buildConfig({ flags: {}, file: { name: "siprtmp.toml", text: uncommented } });
  assert.equal(config.accounts.length, 1);
});

Deno.test("secrets are empty, and refused so: nobody runs with one that all the world has read", () => {
  const empty = [...text.matchAll(/^# ([a-z-]+) = ""$/gm)].map(([, name]) => name!);
  assert.deepEqual(empty, ["rtmp-token", "password", "key"]);
  for (const name of empty) {
    const one = uncommented.replace(new RegExp(`^${name} = .*$`, "m"), `${name} = ""`);
    assert.throws(() => buildConfig({ file: { name: "siprtmp.toml", text: one } }), new RegExp(name));
  }
});
