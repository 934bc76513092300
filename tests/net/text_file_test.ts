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

const BLOCK_BYTES = 64 * 1024 * 1024;

Deno.test("memory that is used is counted", async () => {
  const file = new URL("../../lib/net/text_file.ts", import.meta.url).href;
  const program = `
    import { residentBytes } from ${JSON.stringify(file)};
    const before = residentBytes();
    const block = new Uint8Array(${BLOCK_BYTES}).fill(1); // touched, or the system would not give it
    console.log(JSON.stringify([before, residentBytes(), block[7]]));`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", `data:application/typescript,${encodeURIComponent(program)}`],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const [before, after] = JSON.parse(new TextDecoder().decode(stdout));
  assert.ok(before > 10 * 1024 * 1024, `${before} bytes`);
  assert.ok(after - before > BLOCK_BYTES / 2, `${after - before} bytes more`);
});
