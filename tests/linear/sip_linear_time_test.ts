// SIP takes time in proportion to it, whatever is in it: see linear_time_test.ts.

import assert from "node:assert/strict";
import { timeProblem } from "../support/linear_time.ts";
import { SIP_PARSERS } from "./sip_parsers.ts";

const thorough = Deno.env.get("SIPRTMP_LINEAR") === "all";

for (const parser of SIP_PARSERS) {
  Deno.test(`${parser.name} takes linear time`, () => assert.equal(timeProblem(parser, thorough), null));
}
