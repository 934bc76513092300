// The gateway under test is started as a user starts it.

import assert from "node:assert/strict";
import { flagsOf } from "../../bench/control/subjects.ts";

Deno.test("bench: the gateway has the options of its task", () => {
  const denoFlags =
    "--no-prompt --allow-net --allow-read --allow-write --allow-sys=networkInterfaces --allow-ffi".split(" ");
  const v8Flags = ["--max-semi-space-size=8"];
  assert.deepEqual(flagsOf("start"), { v8Flags, denoFlags });
});
