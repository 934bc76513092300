// Answers to: lib/gateway/account_words.ts.

import assert from "node:assert/strict";
import {
  durationText,
  refusalText,
  registrationText,
  unregisteredText,
} from "../../lib/gateway/account_words.ts";
import type { Identity } from "../../lib/sip/ua/identity.ts";
import type { RegistrationChange } from "../../lib/sip/ua/registration_keeper.ts";
import { parseSipUri } from "../../lib/sip/message/uri.ts";

const DESK: Identity = {
  aor: parseSipUri("sip:desk@example.com"),
  displayName: null,
  username: null,
  password: "hunter2",
};
const ELSEWHERE: Identity = { ...DESK, registrar: parseSipUri("sip:pbx.example:5080") };
const NO_PASSWORD: Identity = { ...DESK, password: null };

function lost(status: number, reason: string, retryMs?: number): RegistrationChange {
  return { type: "lost", status, reason, ...(retryMs !== undefined && { retryMs }) };
}

const TABLE: [identity: Identity, change: RegistrationChange, before: boolean, text: string][] = [
  [DESK, { type: "registered", expiresSeconds: 180 }, false, "registered at sip:example.com for 180 s"],
  [
    ELSEWHERE,
    { type: "registered", expiresSeconds: 60 },
    false,
    "registered at sip:pbx.example:5080 for 60 s",
  ],
  [
    DESK,
    lost(401, "Unauthorized", 47_300),
    false,
    "not registered: sip:example.com refuses the user name or password (401 Unauthorized); " +
    "retrying in 47 s (backoff); SIGHUP tries at once",
  ],
  [
    NO_PASSWORD,
    lost(401, "Unauthorized"),
    false,
    "not registered: sip:example.com asks for a password, and the account has none (401 Unauthorized); " +
    "SIGHUP tries at once",
  ],
  [
    ELSEWHERE,
    lost(408, "Request timeout", 1_500),
    true,
    "no longer registered: sip:pbx.example:5080 does not answer (408 Request timeout); " +
    "retrying in 2 s (backoff)",
  ],
  [
    DESK,
    lost(503, "no address found for sip:example.com", 2_000),
    false,
    "not registered: sip:example.com cannot be reached or has no room (503 no address found for sip:example.com); " +
    "retrying in 2 s (backoff)",
  ],
  [
    DESK,
    lost(404, "Not Found", 3_600_000),
    true,
    "no longer registered: sip:example.com does not know the user (404 Not Found); " +
    "retrying in 60 min (backoff); SIGHUP tries at once",
  ],
  [
    DESK,
    lost(500, "Server Error", 2_000),
    true,
    "no longer registered: sip:example.com does not register the user (500 Server Error); " +
    "retrying in 2 s (backoff)",
  ],
];

Deno.test("account words: what happened, to whom, when it is tried again", () => {
  for (const [identity, change, before, text] of TABLE) {
    assert.equal(registrationText(identity, change, before), text);
  }
  assert.match(
    registrationText(DESK, lost(403, "Forbidden"), false),
    /refuses the user, or its name or password \(403/,
  );
});

Deno.test("account words: times", () => {
  assert.deepEqual([0, 400, 1_499, 119_000, 120_000, 3_540_000].map(durationText), [
    "1 s",
    "1 s",
    "1 s",
    "119 s",
    "2 min",
    "59 min",
  ]);
});

Deno.test("an account that is not to be registered says why", () => {
  assert.equal(unregisteredText(NO_PASSWORD), "not registered: it has no password and no registrar");
  assert.equal(unregisteredText(DESK), "not registered: it has register = false");
  assert.equal(
    unregisteredText({ ...ELSEWHERE, password: null }),
    "not registered: it has register = false",
  );
});

Deno.test("what a registrar has against a user is said with its name and answer", () => {
  assert.equal(
    refusalText(ELSEWHERE, 404, "Not Found"),
    "sip:pbx.example:5080 does not know the user (404 Not Found)",
  );
});
