// The short form of the bench, as CI runs it: `deno task bench:short`. Not among the usual tests, because it takes a
// minute and both cores.

import assert from "node:assert/strict";
import { readBenchOptions } from "../../bench/control/options.ts";
import { runShort } from "../../bench/scenarios/short.ts";

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text + "\n"));
}

Deno.test({
  name: "the gateway costs little more than a bare relay, and a call among many no more than among few",
  ignore: Deno.env.get("SIPRTMP_BENCH") !== "short",
  fn: async () => {
    const wrong = await runShort(readBenchOptions([])!, say);
    assert.deepEqual(wrong, [], wrong.join("\n"));
  },
});
