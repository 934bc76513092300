import assert from "node:assert/strict";
import { settle } from "../../support/fake_clock.ts";
import { ScriptedCall } from "../../support/gateway_fakes.ts";
import { type AccountGuest, AccountHouse, type AccountHouseOptions } from "../../support/account_house.ts";

const SOUND = Uint8Array.fromHex("82ff");

/** Somebody publishes, and the call is up. */
async function talking(house: AccountHouse, guest: AccountGuest, name: string): Promise<ScriptedCall> {
  const before = house.agent.invites.length;
  const stream = await guest.publish(name);
  stream.send(8, 0, SOUND);
  await house.until("it dials", () => house.agent.invites.length === before + 1);
  const call = new ScriptedCall();
  house.agent.invites.at(-1)!.steps.push({ type: "accepted", call: call.call });
  await guest.hears("Call.Accepted");
  return call;
}

async function open(options: AccountHouseOptions = {}): Promise<[AccountHouse, AccountGuest, AccountGuest]> {
  const house = new AccountHouse(options);
  return [house, await house.enter("call/desk"), await house.enter("call")];
}

Deno.test("publishing dials the destination, a player hears the remote party, the end of the call ends both", async () => {
  const [house, publisher, player] = await open();
  await player.play("desk/100");
  const call = await talking(house, publisher, "100");
  assert.equal(house.agent.invites[0]?.to.uri.user, "100");
  assert.equal(house.agent.invites[0]?.to.uri.host, "10.0.0.1", "in the account's domain");
  house.factory.last.hear(20);
  await player.hears("8@20");
  call.end("remote");
  await house.until("the publisher's connection ends", () => publisher.ended, 100);
  await player.hears("Play.UnpublishNotify");
  assert.deepEqual(publisher.lines, [
    "Publish.Start: 100 is being published.",
    "Call.Accepted: the call is up",
    "Call.Ended: the remote party hung up",
    "Unpublish.Success: the remote party hung up",
  ]);
  assert.deepEqual(publisher.told, ["NetConnection.Connect.Closed: the remote party hung up"]);
  assert.ok(
    house.log.lines.some((line) =>
      line.includes("account desk: call to 100: Call.Ended: the remote party hung up")
    ),
  );
  assert.equal(player.ended, false);
  assert.deepEqual(await house.close(), []);
});

Deno.test("destinations with a domain, as URI, with percent signs are dialled as they are meant", async () => {
  const rows: [name: string, user: string, host: string][] = [
    ["bob@example.com", "bob", "example.com"],
    ["sip%3Abob%40example.com%3A5070", "bob", "example.com"],
    ["+49%2830%29123", "+4930123", "10.0.0.1"],
  ];
  for (const [name, user, host] of rows) {
    const [house, publisher] = await open();
    (await publisher.publish(name)).send(8, 0, SOUND);
    await house.until("it dials", () => house.agent.invites.length === 1);
    const { uri } = house.agent.invites[0]!.to;
    assert.deepEqual([uri.user?.replaceAll(/[()]/g, ""), uri.host], [user, host], name);
    assert.deepEqual(await house.close(), []);
  }
});

Deno.test("several destinations are several calls; a name that is in use is BadName until its publisher ends", async () => {
  const [house, first, second] = await open();
  await talking(house, first, "100");
  await talking(house, second, "desk/200");
  const taken = second.publish("desk/100");
  taken.catch(() => {});
  await house.clock.advanceAsync(3000);
  await assert.rejects(taken, /100 is being called by another publisher/);
  assert.ok(second.lines.some((line) => line.startsWith("Publish.BadName")));
  await first.client.close();
  await house.until("the first call is over", () => house.factory.openCount === 1);
  await talking(house, second, "desk/100");
  assert.equal(house.agent.invites.length, 3);
  assert.deepEqual(await house.close(), []);
});

Deno.test("an encoder that is back publishes on into its call: the remote party is not called again", async () => {
  const key = "0123456789abcdef";
  const table: [account: { key?: string }, unplugged: boolean][] = [[{ key }, false], [{}, true]];
  for (const [account, unplugged] of table) {
    const house = new AccountHouse({ accounts: [account] });
    const old = await house.enter(`call/desk?key=${key}`);
    const call = await talking(house, old, "100");
    const media = house.factory.last;
    if (unplugged) old.unplug();
    const back = await house.enter(`call/desk?key=${key}`);
    const publishing = back.publish("100");
    if (unplugged) await house.clock.advanceAsync(3000);
    const stream = await publishing;
    await back.hears("Call.Accepted");
    assert.match(back.lines[0]!, /^Publish\.Start/, "before anything else");
    if (!unplugged) await house.until("the old connection ends", () => old.ended, 100);
    stream.send(8, 0, SOUND);
    await house.until(
      "the remote party hears it",
      () => media.log.filter((each) => each.startsWith("8@")).length >= 1,
    );
    assert.deepEqual([house.agent.invites.length, call.hangUps], [1, 0]);
    call.end("remote");
    await back.hears("Call.Ended");
    assert.deepEqual(await house.close(), []);
  }
});

Deno.test("an account may keep the publisher that is there: on-busy = reject", async () => {
  const key = "0123456789abcdef";
  const house = new AccountHouse({ accounts: [{ key, onBusy: "reject" }] });
  const old = await house.enter(`call/desk?key=${key}`);
  await talking(house, old, "100");
  const publishing = (await house.enter(`call/desk?key=${key}`)).publish("100");
  publishing.catch(() => {});
  await house.clock.advanceAsync(3000);
  await assert.rejects(publishing, /100 is being called by another publisher/);
  assert.equal(old.ended, false);
  assert.deepEqual(await house.close(), []);
});

Deno.test("unpublishing hangs up and leaves the connection to its client", async () => {
  const [house, publisher] = await open();
  const stream = await publisher.publish("100");
  stream.send(8, 0, SOUND);
  await house.until("it dials", () => house.agent.invites.length === 1);
  const call = new ScriptedCall();
  house.agent.invites[0]!.steps.push({ type: "accepted", call: call.call });
  await publisher.hears("Call.Accepted");
  stream.command("closeStream");
  await house.until("the call is hung up", () => call.hangUps === 1);
  await publisher.hears("Unpublish.Success");
  assert.deepEqual([publisher.ended, publisher.told], [false, []]);
  assert.deepEqual(await house.close(), []);
});

Deno.test("what may not be dialled is refused before anything is sent, and not tried again", async () => {
  const redial = { attempts: 3, firstDelaySeconds: 1 };
  const [house, publisher, second] = await open({ onlyNumber: "100", accounts: [{ redial }] });
  (await publisher.publish("200")).send(8, 0, SOUND);
  await house.until("the connection ends", () => publisher.ended, 100);
  assert.deepEqual(publisher.told, [
    "NetConnection.Connect.Closed: 403 Forbidden: blocked by this gateway, 200 is not in allowed-dials",
  ]);
  assert.equal(house.agent.invites.length, 0);
  await talking(house, second, "desk/100");
  assert.deepEqual(await house.close(), []);
});

Deno.test("no room for calls is a refusal that may pass; without redial it is the end", async () => {
  const [house, publisher] = await open();
  house.full = "too busy";
  (await publisher.publish("100")).send(8, 0, SOUND);
  await house.until("the connection ends", () => publisher.ended, 100);
  assert.deepEqual(publisher.told, ["NetConnection.Connect.Closed: 503 Service Unavailable"]);
  assert.deepEqual(await house.close(), []);
});

for (const state of ["publishing", "dialing", "talking"] as const) {
  for (const how of ["leaves", "is cut off"] as const) {
    Deno.test(`the publisher ${how} while ${state}: the remote party is told, nothing is left`, async () => {
      const [house, publisher] = await open();
      let call: ScriptedCall | null = null;
      if (state === "talking") call = await talking(house, publisher, "100");
      else {
        const stream = await publisher.publish("100");
        if (state === "dialing") stream.send(8, 0, SOUND);
        if (state === "dialing") await house.until("it dials", () => house.agent.invites.length === 1);
      }
      if (how === "leaves") await publisher.client.close();
      else publisher.cut();
      await house.until("the media is gone", () => house.factory.openCount === 0);
      await settle();
      if (call !== null) await house.until("BYE", () => call.hangUps === 1);
      if (state === "dialing") assert.equal(house.agent.invites[0]?.signal.aborted, true);
      assert.deepEqual(await house.close(), []);
    });
  }
}

Deno.test("the house closes with calls up: all are hung up", async () => {
  const [house, first, second] = await open();
  const calls = [await talking(house, first, "100"), await talking(house, second, "desk/200")];
  await second.play("desk/100");
  assert.deepEqual(await house.close(), []);
  assert.deepEqual(calls.map(({ hangUps }) => hangUps), [1, 1]);
});
