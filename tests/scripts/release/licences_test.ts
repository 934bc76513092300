import assert from "node:assert/strict";
import { formatLicenceTexts, readPackageLicences } from "../../../scripts/release/licences.ts";
import { RECIPES } from "../../../scripts/codecs/recipes.ts";
import { inFolder } from "../../support/live_flv.ts";

const ONE = { name: "@a/log", version: "2.0.0", integrity: "sha512-AAAA" };
const TEXT = "Permission is given.";

Deno.test("a package's licence is what its package.json names, its text the file beside it", () =>
  inFolder(async (cache) => {
    const folder = `${cache}/registry.example/@a/log/2.0.0`;
    await Deno.mkdir(folder, { recursive: true });
    await assert.rejects(readPackageLicences([ONE], cache), /package\.json/);
    await Deno.writeTextFile(`${folder}/package.json`, '{ "license": "MIT" }');
    await assert.rejects(readPackageLicences([ONE], cache), /no licence file/);
    await Deno.writeTextFile(`${folder}/LICENSE.md`, TEXT);
    assert.deepEqual(await readPackageLicences([ONE], cache), [{ ...ONE, licence: "MIT", text: TEXT }]);
    await assert.rejects(readPackageLicences([{ ...ONE, version: "9.0.0" }], cache), /log@9\.0\.0 is not in/);
  }));

Deno.test("our licence, packages and runtime are told apart; a codec archive that is missing is an error", async () => {
  const packages = [{ ...ONE, licence: "MIT", text: TEXT }];
  const text = await formatLicenceTexts("OURS", packages, {
    recipes: [],
    archives: new Map(),
    deno: "DENO'S OWN",
  });
  const pieces = [
    "siprtmp: GPL-3.0-or-later",
    "OURS",
    "@a/log 2.0.0: MIT",
    TEXT,
    "V8: BSD-3-Clause",
    "DENO'S OWN",
  ];
  for (const piece of pieces) assert.ok(text.includes(piece), piece);
  const missing = formatLicenceTexts("OURS", [], { recipes: RECIPES, archives: new Map(), deno: "" });
  await assert.rejects(missing, /source archive .* is missing/);
});
