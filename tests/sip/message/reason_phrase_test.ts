// Answers to: lib/sip/message/reason_phrase.ts.

import assert from "node:assert/strict";
import { reasonPhrase } from "../../../lib/sip/message/reason_phrase.ts";

Deno.test("reason_phrase: known codes, unknown codes by their class, nonsense", () => {
  const phrases: [status: number, phrase: string][] = [
    [100, "Trying"],
    [486, "Busy Here"],
    [488, "Not Acceptable Here"],
    [199, "Early Dialog Terminated"],
    [299, "OK"],
    [499, "Bad Request"],
    [599, "Server Internal Error"],
    [699, "Busy Everywhere"],
    [0, "Unknown"],
    [999, "Unknown"],
  ];
  for (const [status, phrase] of phrases) assert.equal(reasonPhrase(status), phrase);
});
