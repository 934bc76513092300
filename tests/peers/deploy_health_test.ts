// The health checks of deploy/haproxy.cfg: they complete the handshake with a gateway, leave no line in its log, and take one out
// that accepts connections and does nothing, as a program that hangs does: its port is open, its calls are dead.

import assert from "node:assert/strict";
import { type Site, startSite, until } from "../support/deploy_site.ts";
import { hasPeer } from "../support/peers.ts";
import type { RtmpPhone } from "../support/rtmp_phone.ts";

const ignore = !hasPeer("haproxy", "kamailio");

const BACK_WITHIN_MS = 5000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const statusOf = async (site: Site, server: string) => (await site.haproxy.servers()).get(server)?.status;

/** Rings `user` from a phone that is idle; whoever answers has been called. */
async function call(from: RtmpPhone, user: string): Promise<void> {
  from.client.send("invite", user, "pcmu");
  await from.expect("accepted");
  from.client.send("bye");
}

Deno.test(
  { name: "health checks complete the RTMP handshake and leave no line in a gateway's log", ignore },
  async () => {
    await using site = await startSite();
    await pause(500);
    const before = site.gateways.map((gateway) => gateway.output());
    const checked = async () => [...(await site.haproxy.servers()).values()].map(({ check }) => check);
    await pause(3000);
    assert.deepEqual(await checked(), ["L7OK", "L7OK"]);
    assert.deepEqual(site.gateways.map((gateway) => gateway.output()), before);
  },
);

Deno.test({
  name:
    "a gateway that hangs is taken out, its clients are back within 5 s, and it does them no harm when it wakes",
  ignore,
}, async () => {
  await using site = await startSite();
  await using first = await site.connect("alice1", { answers: ["pcmu"] });
  await using second = await site.connect("alice2", { answers: ["pcmu"] });
  const [hanging] = site.gateways;
  const [stuck, other] = hanging.output().includes("alice1@") ? [first, second] : [second, first];
  const stuckUser = stuck === first ? "alice1" : "alice2";
  Deno.kill(hanging.pid, "SIGSTOP");
  const stoppedMs = performance.now();
  await stuck.client.closed;
  await using returned = await site.connect(stuckUser, { answers: ["pcmu"] });
  const backMs = performance.now() - stoppedMs;
  assert.ok(backMs < BACK_WITHIN_MS, `back after ${backMs} ms`);
  assert.equal(await statusOf(site, "gateway1"), "DOWN");
  await call(other, stuckUser);
  await returned.expect("invited");

  Deno.kill(hanging.pid, "SIGCONT");
  await until("it is taken in again", async () => await statusOf(site, "gateway1") === "UP");
  await until("it lets its former client go", () => /client \S+ disconnected/.test(hanging.output()));
  await pause(500); // and takes back its registration, which is nobody's by now
  await call(other, stuckUser);
  await returned.expect("invited");
  assert.doesNotMatch(site.kamailio.output(), /ERROR|CRITICAL/);
});
