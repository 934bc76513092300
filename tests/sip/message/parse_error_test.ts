// Answers to: lib/sip/message/parse_error.ts.

import assert from "node:assert/strict";
import { WireError } from "../../../lib/base/errors.ts";
import { SipParseError } from "../../../lib/sip/message/parse_error.ts";
import { wireRequest } from "../../support/sip_wire_messages.ts";

Deno.test("parse_error: a WireError with what an answer needs", () => {
  const partial = wireRequest();
  const error = new SipParseError(416, "Unsupported URI Scheme", partial);
  assert.ok(error instanceof WireError);
  assert.equal(error.protocol, "SIP");
  assert.equal(error.name, "SipParseError");
  assert.equal(error.status, 416);
  assert.equal(error.problem, "Unsupported URI Scheme");
  assert.equal(error.partial, partial);
  assert.match(error.message, /Unsupported URI Scheme/);
});
