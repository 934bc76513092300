import assert from "node:assert/strict";
import { lastLine, run } from "../../../scripts/release/steps.ts";

const DENO = `error: Writing deno compile executable to temporary file 'o.tmp'

Caused by:
    0: Setting up base binary.
    1: error sending request for url (x/denort-aarch64-apple-darwin.zip): client error (Connect)
    2: client error (Connect)

Stack backtrace:
   0: <unknown>
   1: <unknown>
`;

Deno.test("what is wrong is one line, with the cause where there is one", () => {
  const cause = "error sending request for url (x/denort-aarch64-apple-darwin.zip): client error (Connect)";
  assert.equal(lastLine(DENO), `Setting up base binary: ${cause}`);
  assert.equal(lastLine("Check file\nerror: Module not found\n    at x.ts:1\n"), "Module not found");
  assert.equal(lastLine("gzip: x: No such file\n"), "gzip: x: No such file");
});

Deno.test("a program that is not installed is a failure in words", async () => {
  const { success, text } = await run(["no-such-program-here"], "/");
  assert.deepEqual([success, text], [false, "no-such-program-here is not installed"]);
});
