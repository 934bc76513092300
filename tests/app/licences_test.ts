// What whoever gets the program is told of its parts: every library that is built in, as it was pinned, and in the
// document, too.
import assert from "node:assert/strict";
import { licenceNotices } from "../../lib/app/licences.ts";
import { RECIPES } from "../../scripts/codecs/recipes.ts";

const read = (path: string): Promise<string> => Deno.readTextFile(new URL(`../../${path}`, import.meta.url));

Deno.test("FAAD2's notice stands by itself, as its authors want it", async () => {
  const notice = "Code from FAAD2 is copyright (c) Nero AG, www.nero.com";
  assert.ok(licenceNotices.split("\n").includes(notice));
  for (const path of ["README.md", "docs/licences.md", "scripts/codecs/aac_decoder_shim.c"]) {
    assert.ok((await read(path)).includes(notice), path);
  }
});

Deno.test("every codec library is named with the version that is built in", async () => {
  const document = await read("docs/licences.md");
  for (const { archive } of RECIPES) {
    const [, name, version] = /^(\w+(?:-[a-z]+)?)-([\d.]+)\.tar\.gz$/.exec(archive.fileName)!;
    const spoken = new RegExp(`${name}[^\n]*${version!.replaceAll(".", "\\.")}`, "i");
    assert.match(licenceNotices, spoken);
    assert.match(document, spoken);
  }
});

Deno.test("every npm package that the program imports is in the document", async () => {
  const { imports } = JSON.parse(await read("deno.json")) as { imports: Record<string, string> };
  const document = await read("docs/licences.md");
  for (const name of Object.keys(imports)) assert.ok(document.includes(name), name);
});
