// The documents point at files that exist, and the list of decisions has each of them once.

import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url);

async function markdownFiles(folder = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory && (folder !== "" || name === "docs")) {
      found.push(...await markdownFiles(`${folder}${name}/`));
    } else if (name.endsWith(".md")) found.push(folder + name);
  }
  return found;
}

/** Targets of the links of a document, without those to other sites. */
function linksOf(text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target));
}

Deno.test("every link of the documents leads to a file, a folder or a heading", async () => {
  const files = await markdownFiles();
  assert.ok(files.includes("README.md") && files.includes("docs/client-api.md"));
  for (const file of files) {
    const links = linksOf(await Deno.readTextFile(new URL(file, ROOT)));
    for (const link of links) {
      const url = new URL(link, new URL(file, ROOT));
      url.hash = "";
      await assert.doesNotReject(Deno.stat(url), `${file}: ${link}`);
    }
  }
});

Deno.test("the list of decisions names every decision, once", async () => {
  const folder = "docs/decisions/";
  const listed = linksOf(await Deno.readTextFile(new URL(`${folder}README.md`, ROOT)));
  const files = (await markdownFiles(folder)).map((file) => file.slice(folder.length));
  assert.deepEqual(listed.toSorted(), files.filter((file) => file !== "README.md").toSorted());
});
