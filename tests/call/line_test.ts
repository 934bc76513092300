import assert from "node:assert/strict";
import { Context } from "../../lib/gateway/context.ts";
import { domainOf, IDLE, type Line, statusText } from "../../lib/call/line.ts";
import { ScriptedAgent, ScriptedOwner } from "../support/gateway_fakes.ts";

Deno.test("the line is compared by identity: an equal state is not the same state", async () => {
  await using owner = new ScriptedOwner();
  await using context = new Context(owner.link, owner.agent, owner.services);
  const first: Line = { state: "dialing", attempt: new AbortController() };
  const lookalike: Line = { ...first };
  assert.equal(context.line, IDLE);
  assert.equal(context.advance({ state: "idle" }, first), false);
  assert.equal(context.advance(IDLE, first), true);
  assert.equal(context.advance(IDLE, lookalike), false);
  assert.equal(context.advance(lookalike, IDLE), false);
  assert.equal(context.line, first);
  assert.equal(context.advance(first, IDLE), true);
});

Deno.test("each line may be left once: of two who saw it, the second is late", async () => {
  await using owner = new ScriptedOwner();
  await using context = new Context(owner.link, owner.agent, owner.services);
  const a: Line = { state: "dialing", attempt: new AbortController() };
  const b: Line = { state: "dialing", attempt: new AbortController() };
  assert.deepEqual([context.advance(IDLE, a), context.advance(IDLE, b)], [true, false]);
  assert.equal(context.line, a);
});

const DOMAINS: [aor: string, domain: string][] = [
  ["sip:alice@example.com", "example.com"],
  ["sip:alice@127.0.0.1:5070", "127.0.0.1:5070"],
  ["sip:alice@[2001:db8::1]:5070", "[2001:db8::1]:5070"],
];

for (const [aor, domain] of DOMAINS) {
  Deno.test(`numbers dialled by ${aor} are in ${domain}`, () => {
    assert.equal(domainOf(new ScriptedAgent(aor)), domain);
  });
}

const OUTCOMES: [status: number, phrase: string, told: string][] = [
  [486, "Busy Here", "486 Busy Here"],
  [408, "Request Timeout", "408 Request timeout"],
  [500, "", "500"],
];

for (const [status, phrase, told] of OUTCOMES) {
  Deno.test(`${status} "${phrase}" is told as "${told}"`, () => {
    assert.equal(statusText(status, phrase), told);
  });
}
