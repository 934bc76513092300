import assert from "node:assert/strict";
import {
  productionConfig,
  productionImports,
  productionLock,
  productionPackages,
} from "../../../scripts/release/production.ts";

const CONFIG = {
  version: "1.2.3",
  unstable: ["net"],
  imports: { "zod": "npm:zod@4.0.0", "@a/log": "npm:@a/log@2.0.0", "fast-check": "npm:fast-check@5.0.0" },
};
const LOCK = {
  version: "5",
  specifiers: {
    "npm:zod@4.0.0": "4.0.0",
    "npm:@a/log@2.0.0": "2.0.0",
    "npm:fast-check@5.0.0": "5.0.0",
  },
  npm: {
    "@a/log@2.0.0": { integrity: "sha512-AAAA", dependencies: ["colour", "text@1.0.0"] },
    "colour@3.0.0": { integrity: "sha512-BBBB" },
    "text@1.0.0": { integrity: "sha512-CCCC" },
    "text@2.0.0": { integrity: "sha512-DDDD" },
    "zod@4.0.0": { integrity: "sha512-EEEE" },
    "fast-check@5.0.0": { integrity: "sha512-FFFF", dependencies: ["text@2.0.0"] },
  },
};
const SOURCES = ['import { z } from "zod";', 'import type { Log } from "@a/log";\nimport "./x.ts";'];

Deno.test("only what the program imports is in its configuration and lock file, with what that needs", () => {
  const imports = productionImports(CONFIG, SOURCES);
  assert.deepEqual(Object.keys(imports), ["zod", "@a/log"]);
  assert.deepEqual(JSON.parse(productionConfig(CONFIG, imports)), {
    unstable: ["net"],
    nodeModulesDir: "none",
    imports,
  });
  const lock = JSON.parse(productionLock(LOCK, imports));
  assert.deepEqual(Object.keys(lock.npm), ["@a/log@2.0.0", "colour@3.0.0", "text@1.0.0", "zod@4.0.0"]);
  assert.deepEqual(Object.keys(lock.specifiers), ["npm:@a/log@2.0.0", "npm:zod@4.0.0"]);
  assert.deepEqual(lock.workspace.dependencies, ["npm:@a/log@2.0.0", "npm:zod@4.0.0"]);
  assert.deepEqual(lock.npm["zod@4.0.0"], LOCK.npm["zod@4.0.0"]);
});

Deno.test("packages are named with version and hash; what is not locked is an error", () => {
  assert.deepEqual(productionPackages(LOCK, { "@a/log": "npm:@a/log@2.0.0" }), [
    { name: "@a/log", version: "2.0.0", integrity: "sha512-AAAA" },
    { name: "colour", version: "3.0.0", integrity: "sha512-BBBB" },
    { name: "text", version: "1.0.0", integrity: "sha512-CCCC" },
  ]);
  const other = { other: "npm:other@1.0.0" };
  assert.throws(() => productionPackages(LOCK, other), /other@1\.0\.0 is not in deno\.lock/);
});

Deno.test("the project's own lock file has every package of the program", async () => {
  const root = new URL("../../../", import.meta.url);
  const [config, lock] = await Promise.all(["deno.json", "deno.lock"].map(async (name) => {
    return JSON.parse(await Deno.readTextFile(new URL(name, root)));
  }));
  const used = ["@logtape/logtape", "commander", "sdp-transform", "smol-toml", "zod"];
  const imports = productionImports(config, used.map((name) => `import {} from "${name}";`));
  assert.deepEqual(productionPackages(lock, imports).map(({ name }) => name), used);
});
