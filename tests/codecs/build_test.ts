// The build of the codec modules without a compiler and without a network: where sources come from, how they are
// told apart, what is said when there are none; archives; the recipes.
import assert from "node:assert/strict";
import { compileRecipe } from "../../scripts/codecs/compile.ts";
import type { SourceArchive } from "../../scripts/codecs/recipe.ts";
import { RECIPES } from "../../scripts/codecs/recipes.ts";
import { findSources, sha256, type SourceAccess } from "../../scripts/codecs/sources.ts";
import { readTarGz } from "../../scripts/codecs/tar.ts";
import { moduleNames } from "../../lib/codecs/codecs.ts";
import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { concatBytes, encodeUtf8 } from "../../lib/base/bytes.ts";

const BYTES = encodeUtf8("the archive");
const ARCHIVE: SourceArchive = {
  fileName: "thing-1.tar.gz",
  sha256: await sha256(BYTES),
  urls: ["https://first.test/thing-1.tar.gz", "https://second.test/thing-1.tar.gz"],
  debianPackage: "thing",
};
const OTHER: SourceArchive = { ...ARCHIVE, fileName: "other.tar.gz", sha256: "00", debianPackage: "other" };

/** Runs `body` with a fresh folder. */
async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Nothing can be reached; parts are replaced by each test. */
function unreachable(folder: string, asked: string[], more: Partial<SourceAccess> = {}): SourceAccess {
  return {
    local: undefined,
    cache: `${folder}/cache`,
    fetch: (url) => {
      asked.push(url);
      return Promise.reject(new TypeError("no network"));
    },
    apt: (packages) => {
      asked.push(`apt ${packages}`);
      return Promise.resolve("there is no apt-get");
    },
    ...more,
  };
}

Deno.test("a local archive is enough, whatever its name, as a file or in a folder", async () => {
  await inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/debian.orig.tar.gz`, BYTES);
    await Deno.writeTextFile(`${folder}/else.tar.gz`, "something else");
    for (const local of [`${folder}/debian.orig.tar.gz`, folder]) {
      const asked: string[] = [];
      const { found, reason } = await findSources([ARCHIVE], unreachable(folder, asked, { local }));
      assert.deepEqual(found.get(ARCHIVE.sha256), BYTES);
      assert.equal(reason, "");
      assert.deepEqual(asked, []);
    }
  });
});

Deno.test("sites are asked in order; what comes is kept for the next build", async () => {
  await inFolder(async (folder) => {
    const asked: string[] = [];
    const fetch: SourceAccess["fetch"] = (url) => {
      asked.push(url);
      return Promise.resolve(url.includes("first") ? new Response("wrong") : new Response(BYTES.slice()));
    };
    const { found } = await findSources([ARCHIVE], unreachable(folder, asked, { fetch }));
    assert.deepEqual(found.get(ARCHIVE.sha256), BYTES);
    assert.deepEqual(asked, ARCHIVE.urls);
    const again: string[] = [];
    assert.equal((await findSources([ARCHIVE], unreachable(folder, again))).found.size, 1);
    assert.deepEqual(again, []);
  });
});

Deno.test("a silent site is not asked twice; Debian is asked once for all", async () => {
  await inFolder(async (folder) => {
    const asked: string[] = [];
    const { found, reason } = await findSources([ARCHIVE, OTHER], unreachable(folder, asked));
    assert.equal(found.size, 0);
    assert.deepEqual(asked, [...ARCHIVE.urls, "apt thing,other"]);
    assert.equal(reason, "no answer from first.test, second.test; there is no apt-get");
  });
});

Deno.test("what Debian gives is checked like everything else", async () => {
  await inFolder(async (folder) => {
    const apt: SourceAccess["apt"] = async (_packages, into) => {
      await Deno.writeFile(`${into}/thing_1.orig.tar.gz`, BYTES);
      await Deno.writeTextFile(`${into}/other_2.orig.tar.gz`, "another version");
      return null;
    };
    const { found, reason } = await findSources([ARCHIVE, OTHER], unreachable(folder, [], { apt }));
    assert.deepEqual([...found.keys()], [ARCHIVE.sha256]);
    assert.match(reason, /Debian has other versions/);
  });
});

function tarEntry(name: string, content: string, type = "0"): Uint8Array {
  const block = new Uint8Array(512 + Math.ceil(content.length / 512) * 512);
  block.set(encodeUtf8(name), 0);
  block.set(encodeUtf8(content.length.toString(8).padStart(11, "0")), 124);
  block.set(encodeUtf8(type), 156);
  block.set(encodeUtf8(content), 512);
  return block;
}

async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  const packed = new Blob([bytes.slice()]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

Deno.test("a tar gives its regular files below the first folder", async () => {
  const tar = concatBytes([
    tarEntry("thing-1/", "", "5"),
    tarEntry("thing-1/src/a.c", "int a;"),
    tarEntry("thing-1/link", "", "2"),
    tarEntry("thing-1/b.h", "x".repeat(600)),
    new Uint8Array(1024),
  ]);
  const files = await readTarGz(await gzip(tar));
  assert.deepEqual([...files.keys()], ["src/a.c", "b.h"]);
  assert.equal(new TextDecoder().decode(files.get("src/a.c")), "int a;");
  assert.equal(files.get("b.h")!.length, 600);
});

Deno.test("there is one recipe for each module, all pinned", async () => {
  assert.deepEqual(RECIPES.map(({ name }) => name).sort(), [...moduleNames(builtInCodecs)].sort());
  for (const { sha256: sum, archive, own } of RECIPES) {
    for (const hash of [sum, archive.sha256]) assert.match(hash, /^[0-9a-f]{64}$/);
    assert.ok(archive.urls.every((url) => url.startsWith("https://")));
    for (const file of own) await Deno.stat(new URL(`../../scripts/codecs/${file}`, import.meta.url));
  }
});

Deno.test("an archive that lacks what a recipe edits is refused before the compiler starts", async () => {
  const archive = await gzip(concatBytes([tarEntry("x/libfaad/common.h", "nothing"), new Uint8Array(1024)]));
  const recipe = RECIPES.find(({ name }) => name === "aac_decoder")!;
  await assert.rejects(compileRecipe(recipe, archive), /common\.h has no/);
});
