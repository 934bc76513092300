// Tests of lib/sip/ua/agent_directory.ts: which user agent a Request-URI means.

import assert from "node:assert/strict";
import { parseSipUri } from "../../../lib/sip/message/uri.ts";
import { AgentDirectory, chooseAgent } from "../../../lib/sip/ua/agent_directory.ts";
import type { UserAgent } from "../../../lib/sip/ua/user_agent.ts";
import { identity } from "../../support/sip_network.ts";

function agent(aor: string, line: string, closing = false): UserAgent {
  const part: Partial<UserAgent> = { identity: identity(aor), line, closing };
  return part as UserAgent;
}

Deno.test("the `line` parameter decides; else user and domain, newest first; else the user alone", () => {
  const directory = new AgentDirectory();
  const agents = [
    agent("sip:alice@one.example", "l1"),
    agent("sip:alice@two.example", "l2"),
    agent("sip:alice@ONE.example", "l3"),
    agent("sip:bob@one.example", "l4"),
  ];
  for (const one of agents) directory.add(one);
  const find = (uri: string) => {
    const found = directory.find(parseSipUri(uri));
    return found.type === "agent" ? found.agent.line : found.type;
  };
  assert.equal(find("sip:whoever@10.0.0.1;line=l1"), "l1");
  assert.equal(find("sip:alice@10.0.0.1;line=unknown"), "gone");
  assert.equal(find("sip:alice@one.example"), "l3");
  assert.equal(find("sip:alice@two.example"), "l2");
  assert.equal(find("sip:alice@10.0.0.1"), "l3");
  assert.equal(find("sip:bob@two.example"), "l4");
  assert.equal(find("sip:carol@one.example"), "unknown");
  assert.equal(find("sip:10.0.0.1"), "unknown");
  directory.remove(agents[2] as UserAgent);
  assert.equal(find("sip:alice@one.example"), "l1");
  assert.equal(directory.size, 3);
  assert.equal([...directory.all()].length, 3);
});

Deno.test("a search looks at its namesakes only, however many others there are", () => {
  const directory = new AgentDirectory();
  let looked = 0;
  const watched = (aor: string, line: string): UserAgent =>
    new Proxy(agent(aor, line), {
      get: (target, key) => {
        if (key === "closing") looked += 1;
        return Reflect.get(target, key);
      },
    });
  const agents = Array.from({ length: 10_000 }, (_, n) => watched(`sip:user${n}@one.example`, `l${n}`));
  for (const one of agents) directory.add(one);
  const twin = watched("sip:user42@two.example", "twin");
  directory.add(twin);
  const find = (uri: string) => directory.find(parseSipUri(uri));
  assert.deepEqual(find("sip:user42@one.example"), { type: "agent", agent: agents[42] });
  assert.equal(looked, 2);
  directory.remove(twin);
  directory.remove(twin);
  assert.deepEqual(find("sip:user42@two.example"), { type: "agent", agent: agents[42] });
  directory.remove(agents[42] as UserAgent);
  assert.equal(find("sip:user42@two.example").type, "unknown");
  assert.equal(find("sip:10.0.0.1").type, "unknown");
  assert.equal(looked, 3);
});

Deno.test("a user agent about to end gets calls only when nobody else is there", () => {
  const directory = new AgentDirectory();
  const leaving = agent("sip:alice@one.example", "l2", true);
  directory.add(agent("sip:alice@two.example", "l1"));
  directory.add(leaving);
  const find = (uri: string) => {
    const found = directory.find(parseSipUri(uri));
    return found.type === "agent" ? found.agent.line : found.type;
  };
  assert.equal(find("sip:alice@one.example"), "l1");
  assert.equal(find("sip:alice@10.0.0.1;line=l2"), "l2", "the line still decides");
  const alone = new AgentDirectory();
  alone.add(leaving);
  const found = alone.find(parseSipUri("sip:alice@one.example"));
  assert.ok(found.type === "agent" && found.agent === leaving, "it answers 480 itself");
});

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
