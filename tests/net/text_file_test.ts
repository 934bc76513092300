import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { readTextFile } from "../../lib/net/text_file.ts";

Deno.test("a file is read whole; what cannot be read is told in words", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/a.txt`, "one\ntwö\n");
    assert.equal(await readTextFile(`${folder}/a.txt`), "one\ntwö\n");
    const huge = `${folder}/huge`;
    using file = await Deno.open(huge, { create: true, write: true });
    await file.truncate(64 * 1024 * 1024);
    const table: [string, RegExp][] = [
      [`${folder}/none.pem`, /^Cannot read .*none\.pem: there is no such file$/],
      [folder, /^Cannot read .*: (it is a folder|Is a directory.*)$/],
      [huge, /^Cannot read .*: it has 67108864 bytes$/],
    ];
    for (const [path, message] of table) {
      await assert.rejects(readTextFile(path), (error) => {
        assert.ok(error instanceof TransportError);
        assert.match(error.message, message);
        return true;
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
