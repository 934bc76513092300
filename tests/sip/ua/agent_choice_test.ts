// Answers to: lib/sip/ua/agent_choice.ts. Who of several users of one name gets a call, however they came.

import assert from "node:assert/strict";
import { chooseAgent } from "../../../lib/sip/ua/agent_choice.ts";

/** Host, and port, of each namesake in the order they came: "+": has shown that the address is its own, "-": is about to end. */
const ROWS: [why: string, wanted: string, agents: string[], chosen: number | null][] = [
  ["nobody", "pbx.example", [], null],
  ["alone", "10.0.0.1", ["pbx.example"], 0],
  ["the newest of equals", "pbx.example", ["pbx.example", "PBX.example"], 1],
  ["the newest that has registered again", "pbx.example", ["+pbx.example", "+pbx.example"], 1],
  ["without a password, later", "pbx.example", ["+pbx.example", "pbx.example"], 0],
  ["without a password, before", "pbx.example", ["pbx.example", "+pbx.example"], 1],
  ["in capitals, without a password", "pbx.example", ["+pbx.example", "PBX.EXAMPLE"], 0],
  ["at the gateway's address, by name alone", "10.0.0.1", ["+pbx.example", "evil.example"], 0],
  ["who calls itself as the gateway's address", "10.0.0.1", ["+pbx.example", "10.0.0.1"], 0],
  ["the same in IPv6", "2001:db8::1", ["2001:db8::1", "+pbx.example"], 1],
  ["the same by localhost", "localhost", ["+pbx.example", "localhost"], 0],
  ["who registered the name elsewhere, later", "10.0.0.1", ["+pbx.example", "+evil.example"], 0],
  ["who registered with another port of the host, later", "pbx.example", [
    "+pbx.example/5070",
    "+pbx.example/9999",
  ], 0],
  ["the same with the port again", "10.0.0.1", [
    "+pbx.example/5070",
    "+pbx.example/9999",
    "+pbx.example/5070",
  ], 2],
  ["elsewhere, and its own again", "10.0.0.1", ["+pbx.example", "+evil.example", "+pbx.example"], 2],
  ["a domain of its own without a password", "two.example", ["two.example", "+one.example"], 0],
  ["a domain of its own with one", "two.example", ["+one.example", "two.example", "+two.example"], 2],
  ["the name alone, nobody has shown anything", "10.0.0.1", ["one.example", "two.example"], 1],
  ["who ends comes last", "pbx.example", ["pbx.example", "-+pbx.example"], 0],
  ["only who ends", "pbx.example", ["-pbx.example"], 0],
];

for (const [why, wanted, agents, chosen] of ROWS) {
  Deno.test(`choice of a user: ${why}: ${agents.join(", ")} for ${wanted}`, () => {
    const found = chooseAgent(agents.keys(), wanted, (index) => {
      const words = agents[index]!;
      const closing = words.startsWith("-");
      const [host = "", port] = words.replace(/^[-+]+/, "").split("/");
      return {
        host,
        port: port === undefined ? null : Number(port),
        ownsAddress: words.includes("+"),
        closing,
      };
    });
    assert.equal(found, chosen);
  });
}
