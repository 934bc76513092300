// Answers to: lib/sip/transaction/kept_response.ts.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { KeptResponse } from "../../../lib/sip/transaction/kept_response.ts";
import { encodeSipMessage } from "../../../lib/sip/message/message.ts";
import { receivedRequest, responseTo } from "../../support/sip_messages.ts";

Deno.test("kept response: what is restored is sent as the response itself, whatever became of that", () => {
  const response = responseTo(receivedRequest("MESSAGE"), 415, "t", { Accept: "text/plain" });
  response.headers.add("X-Text", 'gr\u00fc\u00dfe "quoted" \\');
  response.headers.add("X-Text", "twice");
  response.body = encodeUtf8("body");
  const bytes = encodeSipMessage(response);
  const kept = new KeptResponse(response);
  response.headers.delete("Via");
  assert.deepEqual(encodeSipMessage(kept.restore()), bytes);
  assert.notEqual(kept.restore(), kept.restore());
});
