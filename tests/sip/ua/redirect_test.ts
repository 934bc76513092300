import assert from "node:assert/strict";
import { MAX_REDIRECTS, redirectsOf } from "../../../lib/sip/ua/redirect.ts";
import { formatSipUri } from "../../../lib/sip/message/uri.ts";
import { responseTo, sipRequest } from "../../support/sip_messages.ts";

/** A status and its Contacts, and where the call goes on. */
const REDIRECTS: [status: number, contacts: string[], uris: string[]][] = [
  [302, ["<sip:bob@192.0.2.1>"], ["sip:bob@192.0.2.1"]],
  [301, ["sip:bob@192.0.2.1:5070"], ["sip:bob@192.0.2.1:5070"]],
  [300, ["<sip:a@x>;q=0.2, <sip:b@x>;q=0.9", "<sip:c@x>;q=0.5"], ["sip:b@x", "sip:c@x", "sip:a@x"]],
  [302, ["<sip:a@x>;q=0.9", "<sip:b@x>"], ["sip:b@x", "sip:a@x"]],
  [302, ["<sip:a@x>;q=best", "<sip:b@x>;q=0.1"], ["sip:b@x", "sip:a@x"]],
  [302, ["<sip:a@x>", "<sip:a@x>;q=0.5"], ["sip:a@x"]],
  [302, ["<sip:bob:secret@x;method=BYE?Replaces=1>"], ["sip:bob@x"]],
  [302, ["<sip:", "<mailto:bob@x>", "*", "<sip:b@x>"], ["sip:b@x"]],
  [302, ["<tel:+4930123>", "<sips:bob@x>"], ["tel:+4930123", "sips:bob@x"]],
  [302, [], []],
  [305, ["<sip:proxy>"], []],
  [380, ["<sip:help@x>"], []],
  [404, ["<sip:bob@x>"], []],
  [302, Array.from({ length: 30 }, (_, n) => `<sip:b${n}@x>`), [
    "sip:b0@x",
    "sip:b1@x",
    "sip:b2@x",
    "sip:b3@x",
    "sip:b4@x",
  ]],
];

for (const [status, contacts, uris] of REDIRECTS) {
  Deno.test(`${status} with ${contacts.join(" ").slice(0, 60) || "no Contact"}`, () => {
    const response = responseTo(sipRequest("INVITE"), status, "t", { Contact: contacts });
    assert.deepEqual(redirectsOf(response).map(formatSipUri), uris);
    assert.ok(uris.length <= MAX_REDIRECTS);
  });
}
