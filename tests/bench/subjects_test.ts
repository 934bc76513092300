// The gateway under test is started as a user starts it.

import assert from "node:assert/strict";
import { v8FlagsOfStart } from "../../bench/control/subjects.ts";

Deno.test("bench: the gateway has the V8 options of the start task, and the unit file has the same", () => {
  const flags = v8FlagsOfStart();
  assert.deepEqual(flags, ["--max-semi-space-size=8"]);
  const unit = Deno.readTextFileSync(new URL("../../deploy/siprtmp.service", import.meta.url));
  assert.match(unit, new RegExp(`^ExecStart=.* --v8-flags=${flags.join(",")} `, "m"));
});
