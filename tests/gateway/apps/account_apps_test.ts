import assert from "node:assert/strict";
import { AccountHouse } from "../../support/account_house.ts";
import { rtmpPair } from "../../support/rtmp_pair.ts";
import { ScriptedInvitation } from "../../support/gateway_fakes.ts";

Deno.test("call and line are told apart, and what one publishes is not the other's", async () => {
  const house = new AccountHouse({ accounts: [{ answer: "auto" }] });
  const [caller, listener] = [await house.enter("call/desk"), await house.enter("line/desk")];
  await caller.publish("say");
  await listener.publish("say");
  await assert.rejects(listener.publish("100"), /publish to line\/desk\/say/);
  assert.deepEqual(await house.close(), []);
});

Deno.test("an account calls several and is called at the same time", async () => {
  const house = new AccountHouse({ accounts: [{ answer: "auto" }] });
  const caller = await house.enter("call/desk");
  for (const name of ["100", "200"]) (await caller.publish(name)).send(8, 0, Uint8Array.fromHex("82ff"));
  await house.until("both are dialled", () => house.agent.invites.length === 2);
  const invitation = new ScriptedInvitation();
  house.agent.incoming.push(invitation);
  await house.until("it is answered", () => invitation.said.length === 2);
  assert.equal(house.factory.openCount, 3);
  invitation.fail("enough");
  assert.deepEqual(await house.close(), []);
});

Deno.test("a client that has said connect is accepted, served and let go", async () => {
  const house = new AccountHouse();
  const guest = await house.enter("call/desk");
  await guest.publish("100");
  await guest.client.close();
  assert.ok(house.log.lines.some((line) => line.includes("publisher connected from")));
  assert.deepEqual(await house.close(), []);
});

Deno.test("when the gateway is stopping nobody is accepted any more", async () => {
  const house = new AccountHouse();
  const { server, connect } = rtmpPair();
  const stopped = new AbortController();
  stopped.abort();
  const serving = (async () => {
    await using connection = server;
    const request = await connection.open();
    await house.apps.serve(connection, request!, { application: "call", proof: null }, stopped.signal);
    await connection.close("NetConnection.Connect.AppShutdown", "the gateway is stopping");
  })();
  await assert.rejects(connect({}, "call/desk"), /stopping/);
  await serving;
  assert.deepEqual(await house.close(), []);
});
