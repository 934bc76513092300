// Tests of lib/sip/ua/call_event.ts: what a BYE says about its reason.

import assert from "node:assert/strict";
import { endedByBye } from "../../../lib/sip/ua/call_event.ts";
import { sipRequest } from "../../support/sip_messages.ts";

Deno.test("the reason of a BYE is its text, else its cause, else a plain word", () => {
  const table: [string | null, string][] = [
    ['Q.850;cause=16;text="Normal \\"clearing\\""', 'Normal "clearing"'],
    ["Q.850;cause=31", "Q.850 cause 31"],
    ['SIP;text="";cause=200', "SIP cause 200"],
    ["nonsense", "hung up"],
    [null, "hung up"],
  ];
  for (const [header, reason] of table) {
    const ended = endedByBye(sipRequest("BYE", header === null ? {} : { Reason: header }));
    assert.deepEqual(ended, { type: "ended", by: "remote", reason });
  }
});
