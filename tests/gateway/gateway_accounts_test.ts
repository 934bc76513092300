// Accounts of a whole gateway, over loopback. Answers to: lib/gateway/gateway.ts, lib/gateway/accounts.ts.

import assert from "node:assert/strict";
import { PASSWORD, Registrar } from "../support/gateway_registrar.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

const KEY = "key-0123456789abcdef";

async function until(holds: () => boolean, what: () => string): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`never came about: ${what()}`);
}

function entry(name: string, registrar: Registrar, more: string[] = []): string {
  return ["[[account]]", `name = "${name}"`, `address = "${registrar.address(name)}"`, ...more, ""].join(
    "\n",
  );
}

const states = ({ gateway }: TestGateway) => gateway.accounts.all().map(({ state }) => state).join(" ");

Deno.test("accounts: registered with the gateway, taken back at its end, without a word of their secrets", async () => {
  await using registrar = new Registrar();
  let lines = "";
  {
    await using running = await startGateway(
      {},
      entry("desk", registrar, [`password = "${PASSWORD}"`, `key = "${KEY}"`]) +
        entry("door", registrar, ['password = "wrong wrong"']) + entry("trunk", registrar),
    );
    await until(() => states(running) === "registered failed unregistered", running.lines);
    assert.equal(running.gateway.accounts.get("desk")?.config.key, KEY);
    assert.match(running.lines(), /account desk: registered at sip:127\.0\.0\.1:\d+ for 180 s/);
    assert.match(
      running.lines(),
      /account door: not registered: .* refuses the user name or password \(401 /,
    );
    assert.deepEqual(registrar.log.toSorted(), ["+1", "?", "?", "?"]);
    await running.gateway[Symbol.asyncDispose]();
    lines = running.lines();
  }
  assert.equal(registrar.log.at(-1), "-1");
  for (const secret of [PASSWORD, KEY, "wrong wrong"]) assert.ok(!lines.includes(secret), lines);
});

Deno.test("accounts: the gateway starts whether registrars are there or not, and SIGHUP asks those again that failed", async () => {
  await using registrar = new Registrar();
  await using away = new Registrar();
  const gone = away.address("gone");
  await away[Symbol.asyncDispose]();
  await using running = await startGateway(
    {},
    `[[account]]\nname = "gone"\naddress = "${gone}"\npassword = "x"\n` +
      entry("desk", registrar, [`password = "wrong"`]),
  );
  assert.match(states(running), /^registering /);
  await until(() => states(running) === "registering failed", running.lines);
  const asked = registrar.log.length;
  await running.gateway.reload();
  await until(() => registrar.log.length > asked, running.lines);
});

Deno.test("accounts: an RTMP client of the same address has a binding of its own, and leaves the other alone", async () => {
  await using registrar = new Registrar();
  await using running = await startGateway({}, entry("desk", registrar, [`password = "${PASSWORD}"`]));
  await until(() => states(running) === "registered", running.lines);
  {
    await using client = await RtmpPhone.connect({
      url: running.url(registrar.address("desk")),
      login: "desk",
      password: PASSWORD,
    });
    assert.ok(client);
    assert.deepEqual(registrar.log.filter((line) => line !== "?"), ["+1", "+2"]);
  }
  await until(() => registrar.log.at(-1) === "-2", running.lines);
  assert.equal(states(running), "registered");
});
