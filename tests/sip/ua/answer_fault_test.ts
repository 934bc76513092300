import assert from "node:assert/strict";
import { answerFault, namesItsTarget } from "../../../lib/sip/ua/answer_fault.ts";
import { responseTo, sipRequest } from "../../support/sip_messages.ts";

/** Headers of a 2xx, its fault, and whether requests can go by what it says. */
const ANSWERS: [headers: Record<string, string | null>, fault: string | null, target: boolean][] = [
  [{ Contact: "<sip:bob@192.0.2.1>" }, null, true],
  [{ Contact: "sip:bob@192.0.2.1" }, null, true],
  [{ Contact: null }, null, false],
  [{ Contact: "*" }, null, false],
  [{ Contact: "<sip:bob@192.0.2.1" }, "its Contact cannot be read", false],
  [{ Contact: "<http://192.0.2.1>" }, "its Contact cannot be read", false],
  [{ Contact: "<sip:bob@192.0.2.1>", "Record-Route": "<sip:" }, "its Record-Route cannot be read", false],
  [{ Contact: "<sip:bob@192.0.2.1>", "Record-Route": "<sip:p;lr>" }, null, true],
  [{ Contact: "Bell, Alexander <sip:bob@192.0.2.1>" }, null, true],
  [{ Contact: 'sip:bob@192.0.2.1;+sip.instance="<urn:x>"' }, null, true],
  [{ Contact: '"Bob <sip:bob@192.0.2.1;>;;' }, null, true],
  [{ Contact: "<sip:bob@192.0.2.1>", "Record-Route": "Edge, One <sip:p;lr;>;;" }, null, true],
  [{ Contact: "<sip:bob@192.0.2.1>", "Record-Route": "sip:p;lr" }, null, true],
  [{ Contact: "<sip:bob@192.0.2.1>", Require: "100rel, timer" }, null, true],
  [{ Contact: "<sip:bob@192.0.2.1>", Require: "timer, precondition" }, "it requires precondition", true],
];

for (const [headers, fault, target] of ANSWERS) {
  Deno.test(`a 2xx with ${JSON.stringify(headers)}: ${fault ?? "fine"}`, () => {
    const response = responseTo(sipRequest("INVITE"), 200, "bob", headers);
    assert.equal(answerFault(response), fault);
    assert.equal(namesItsTarget(response), target);
  });
}
