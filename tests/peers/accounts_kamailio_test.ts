// The gateway's own accounts at a real registrar and proxy with digest, which grants 3 s at most: Kamailio.

import assert from "node:assert/strict";
import { parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import { textBody } from "../../lib/sip/message/body.ts";
import type { SipEndpoint } from "../../lib/sip/ua/endpoint.ts";
import { startKamailio } from "../support/kamailio.ts";
import { hasPeer } from "../support/peers.ts";
import { openLoopback } from "../support/sip_loopback.ts";
import { identity } from "../support/sip_network.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

const ignore = !hasPeer("kamailio");
const SHORT = { defines: { MAX_EXPIRES: "3" } };
const forever = (): AbortSignal => new AbortController().signal;

async function until(holds: () => boolean | Promise<boolean>, what: () => string): Promise<void> {
  for (let tries = 0; tries < 240; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`never came about: ${what()}`);
}

function entry(name: string, address: string, keys: Record<string, string> = {}): string {
  const all = { name, address, password: `${name}-secret`, ...keys };
  const lines = Object.entries(all).map(([key, value]) => `${key} = "${value}"`);
  return ["[[account]]", ...lines, ""].join("\n");
}

const states = ({ gateway }: TestGateway): Record<string, string> =>
  Object.fromEntries(gateway.accounts.all().map(({ config, state }) => [config.name, state]));

/** REGISTERs of a user that went out, with or without credentials; the wire log has them whole. */
function registers(running: TestGateway, user: string): string[] {
  const messages = running.lines().split(/\n(?=\S)/);
  return messages.filter((text) => /\bREGISTER sip:/.test(text) && text.includes(`From: <sip:${user}@`));
}

/** Asks for an account at the registrar's address, which passes it on along the binding it has. */
async function statusOf(caller: SipEndpoint, user: string, port: number): Promise<number> {
  await using agent = caller.createUserAgent(identity(`sip:caller@127.0.0.1:${port}`));
  const to = parseNameAddr(`sip:${user}@127.0.0.1:${port}`);
  return (await agent.request("OPTIONS", to, null, forever())).status;
}

Deno.test({
  name:
    "accounts register with digest over UDP and TCP, through a registrar, a proxy; wrong passwords are few",
  ignore,
}, async () => {
  await using kamailio = await startKamailio(SHORT);
  const server = `127.0.0.1:${kamailio.port}`;
  await using caller = openLoopback();
  const names = ["desk", "tcp", "far", "routed"];
  {
    await using running = await startGateway(
      {},
      entry("desk", `desk@${server}`) +
        entry("tcp", `tcp@${server}`, { transport: "tcp" }) +
        entry("far", "far@far.example", { registrar: `sip:${server}` }) +
        entry("routed", "routed@far.example", { proxy: `sip:${server}`, transport: "tcp" }) +
        entry("mallory", `mallory@${server}`, { password: "guess-of-mallory" }),
    );
    const wanted = { desk: "registered", tcp: "registered", far: "registered", routed: "registered" };
    await until(
      () => JSON.stringify(states(running)) === JSON.stringify({ ...wanted, mallory: "failed" }),
      () => `${JSON.stringify(states(running))}\n${running.lines()}`,
    );
    for (const name of names) assert.equal(await statusOf(caller, name, kamailio.port), 200, name);
    assert.equal(await statusOf(caller, "mallory", kamailio.port), 404);

    const agentOf = (name: string) => running.gateway.accounts.get(name)!.agent;
    const text = textBody("hello");
    const toFar = parseNameAddr("sip:far@far.example");
    assert.equal((await agentOf("routed").request("MESSAGE", toFar, text, forever())).status, 200);
    const toTcp = parseNameAddr(`sip:tcp@${server}`);
    assert.equal((await agentOf("desk").request("MESSAGE", toTcp, text, forever())).status, 200);

    await until(
      () => names.every((name) => registers(running, name).length >= 5),
      () => `refreshes\n${names.map((name) => registers(running, name).length)}`,
    );
    for (const name of names) assert.equal(await statusOf(caller, name, kamailio.port), 200, name);
    assert.equal(registers(running, "mallory").length, 2, "one question, one wrong answer");
    const [first = ""] = registers(running, "far");
    assert.match(first, new RegExp(`REGISTER sip:${server} SIP`));
    assert.match(
      registers(running, "routed")[0] ?? "",
      /REGISTER sip:far\.example SIP[^]*Route: <sip:127\.0\.0\.1:/,
    );
    for (const name of ["tcp", "routed"]) {
      assert.match(registers(running, name)[0] ?? "", /Via: SIP\/2\.0\/TCP/);
    }
    const told = running.lines().split("\n").filter((line) => / account \w+: /.test(line));
    assert.equal(told.length, 5, told.join("\n"));
    assert.doesNotMatch(running.lines(), /-secret|guess-of-mallory|response="[0-9a-f]/);
  }
  for (const name of names) {
    assert.equal(await statusOf(caller, name, kamailio.port), 404, `${name} has left`);
  }
});

Deno.test(
  { name: "accounts are registered again after the registrar was down and forgot them", ignore },
  async () => {
    const first = await startKamailio(SHORT);
    const { port } = first;
    const server = `127.0.0.1:${port}`;
    await using running = await startGateway(
      {},
      entry("desk", `desk@${server}`) + entry("tcp", `tcp@${server}`, { transport: "tcp" }),
    );
    const all = (state: string) => Object.values(states(running)).every((one) => one === state);
    await until(() => all("registered"), running.lines);
    await first[Symbol.asyncDispose]();
    await until(() => states(running).tcp === "failed", running.lines);
    await using _second = await startKamailio({ ...SHORT, port });
    await using caller = openLoopback();
    for (const name of ["desk", "tcp"]) {
      await until(async () => await statusOf(caller, name, port) === 200, running.lines);
    }
    await until(() => all("registered"), running.lines);
    assert.match(
      running.lines(),
      /account tcp: no longer registered: sip:127\.0\.0\.1:\d+ cannot be reached /,
    );
    assert.doesNotMatch(running.lines(), /-secret/);
  },
);
