// Tests of lib/sip/ua/dialog_table.ts: requests find their dialog by Call-ID and both tags.

import assert from "node:assert/strict";
import { DialogTable, type DialogUser } from "../../../lib/sip/ua/dialog_table.ts";
import { dialogId } from "../../../lib/sip/message/matching.ts";
import { receivedRequest } from "../../support/sip_messages.ts";

const user = (): DialogUser => ({ receive: () => {} });

Deno.test("a request finds the dialog with its Call-ID and tags, seen from our side", () => {
  const table = new DialogTable();
  const ours = user();
  table.add(dialogId("call-1", "bob-1", "alice-1"), ours);
  assert.equal(table.find(receivedRequest("BYE", { To: "<sip:bob@example.net>;tag=bob-1" })), ours);
  assert.equal(table.find(receivedRequest("BYE", { To: "<sip:bob@example.net>;tag=bob-2" })), null);
  assert.equal(table.find(receivedRequest("BYE", { "Call-ID": "other" })), null);
});

Deno.test("only its own user takes a dialog out", () => {
  const table = new DialogTable();
  const id = dialogId("c", "l", "r");
  const second = user();
  const first = user();
  table.add(id, first);
  table.add(id, second);
  table.remove(id, first);
  assert.equal(table.size, 1);
  table.remove(id, second);
  assert.equal(table.size, 0);
});
