import assert from "node:assert/strict";
import { AccountDoor } from "../../lib/gateway/account_door.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { rtmpPair } from "../support/rtmp_pair.ts";
import { AccountHouse } from "../support/account_house.ts";

const SERVICES = {
  accounts: { get: () => undefined },
  mayUseKey: () => ({ type: "accepted" as const }),
  application: {
    publish: () => ({ type: "refused" as const, reason: "never", there: null }),
    play: () => ({ type: "refused" as const, reason: "never" }),
  },
  latencyMs: 1000,
  clock: systemClock,
  onBusy: "replace" as const,
};

Deno.test("a client that has said connect is accepted, served and let go", async () => {
  const house = new AccountHouse();
  const guest = await house.enter("call/desk");
  await guest.publish("100");
  await guest.client.close();
  assert.ok(house.log.lines.some((line) => line.includes("published by the client at")));
  assert.deepEqual(await house.close(), []);
});

Deno.test("when the gateway is stopping nobody is accepted any more", async () => {
  const { server, connect, log } = rtmpPair();
  const stopped = new AbortController();
  stopped.abort();
  const door = new AccountDoor("call", SERVICES, log);
  const serving = (async () => {
    await using connection = server;
    const request = await connection.open();
    await door.serve(connection, request!, null, stopped.signal);
    await connection.close("NetConnection.Connect.AppShutdown", "the gateway is stopping");
  })();
  await assert.rejects(connect({}, "call/desk"), /stopping/);
  await serving;
});
