import assert from "node:assert/strict";
import { AccountHouse } from "../../support/account_house.ts";

const KEY = "a-key-of-sixteen-letters";
const SOUND = Uint8Array.fromHex("82ff");

/** What a promise was rejected with. */
async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "nothing";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

Deno.test("an account that is not there, broken names and missing destinations are refused in words", async () => {
  const house = new AccountHouse();
  const guest = await house.enter("call");
  const rows: [name: string, reason: RegExp][] = [
    ["nobody/100", /there is no account nobody here/],
    ["desk/%zz", /percent-encoding/],
    ["desk", /whom to call is missing/],
  ];
  for (const [name, reason] of rows) {
    assert.match(await refusal(guest.publish(name)), reason);
    assert.match(await refusal(guest.play(name)), name === "desk" ? /which call is missing/ : reason);
  }
  assert.equal(guest.ended, false, "a programmed client may try again");
  assert.deepEqual(await house.close(), []);
});

Deno.test("the right key is let in from wherever it was written; nobody else is asked", async () => {
  const house = new AccountHouse({ accounts: [{ key: KEY }, { name: "open" }] });
  const [inPath, inName] = [await house.enter(`call/desk?key=${KEY}`), await house.enter("call/desk")];
  await inPath.publish("100");
  await inName.publish(`200?key=${KEY}`);
  await inName.play(`100?key=${KEY}`);
  const open = await house.enter("call/open");
  await open.publish("300");
  assert.deepEqual(await house.close(), []);
});

for (
  const [what, name, reason] of [
    ["a wrong", "100?key=wrong", "the key is wrong"],
    ["a missing", "100", "a key is needed: ...?key=KEY"],
  ] as const
) {
  for (const use of ["publish", "play"] as const) {
    Deno.test(`${what} key: ${use} is refused after a second, and the connection ends`, async () => {
      const house = new AccountHouse({ accounts: [{ key: KEY }] });
      const guest = await house.enter("call/desk");
      const refused = refusal(guest[use](name));
      await house.until("the refusal is logged", () => house.log.lines.some((line) => line.includes(reason)));
      house.clock.advance(999);
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.deepEqual(guest.lines, []);
      house.clock.advance(1);
      assert.match(await refused, new RegExp(reason.replaceAll(/[.?]/g, "\\$&")));
      await house.until("the connection ends", () => guest.ended, 100);
      assert.deepEqual(guest.told, [`NetConnection.Connect.Rejected: ${reason}`]);
      assert.ok(!house.log.lines.join().includes("key=wrong"));
      assert.deepEqual(await house.close(), []);
    });
  }
}

Deno.test("failed keys count as failed logins of their address: refusals come later each time", async () => {
  const house = new AccountHouse({ accounts: [{ key: KEY }] });
  for (const waitMs of [1000, 2000, 4000]) {
    const guest = await house.enter("call/desk");
    const refused = refusal(guest.publish("100?key=wrong"));
    const count = house.log.lines.length;
    await house.until("it is logged", () => house.log.lines.length > count);
    house.clock.advance(waitMs - 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(guest.lines, [], `not before ${waitMs} ms`);
    house.clock.advance(1);
    assert.match(await refused, /the key is wrong/);
  }
  assert.deepEqual(await house.close(), []);
});

Deno.test("a client that leaves while its refusal waits is not waited for", async () => {
  const house = new AccountHouse({ accounts: [{ key: KEY }] });
  const guest = await house.enter("call/desk");
  void refusal(guest.publish("100?key=wrong"));
  await house.until(
    "the refusal waits",
    () => house.log.lines.some((line) => line.includes("the key is wrong")),
  );
  await guest.client.close();
  assert.deepEqual(await house.close(), []);
});

Deno.test("bye and sendDTMF go to what the connection publishes; programs may say what they like", async () => {
  const house = new AccountHouse();
  const guest = await house.enter("call/desk");
  assert.match(await refusal(guest.client.call("bye")), /nothing is published/);
  assert.deepEqual(await guest.client.call("someHabitOfAProgram", 1), []);
  const stream = await guest.publish("100");
  assert.match(await refusal(guest.client.call("sendDTMF", "no digit")), /./);
  assert.match(await refusal(guest.client.call("sendDTMF", "1")), /there is no call/);
  stream.send(8, 0, SOUND);
  await house.until("it dials", () => house.agent.invites.length === 1);
  await guest.client.call("bye");
  await house.until("the connection ends", () => guest.ended, 100);
  assert.deepEqual(guest.lines.slice(-2), ["Call.Ended: hung up", "Unpublish.Success: hung up"]);
  assert.deepEqual(guest.told, ["NetConnection.Connect.Closed: hung up"]);
  assert.equal(house.agent.invites[0]?.signal.aborted, true);
  assert.deepEqual(await house.close(), []);
});

Deno.test("a connection ends with the last of its calls, not before", async () => {
  const house = new AccountHouse();
  const guest = await house.enter("call/desk");
  const streams = [await guest.publish("100"), await guest.publish("200")];
  for (const [i, stream] of streams.entries()) {
    stream.send(8, 0, SOUND);
    await house.until("it dials", () => house.agent.invites.length === i + 1);
  }
  const busy = { type: "refused", status: 486, reason: "Busy Here", warning: null } as const;
  house.agent.invites[0]?.steps.push(busy);
  await guest.hears("Call.Rejected: 486 Busy Here");
  assert.equal(guest.ended, false);
  house.agent.invites[1]?.steps.push(busy);
  await house.until("the connection ends", () => guest.ended, 100);
  assert.deepEqual(guest.told, ["NetConnection.Connect.Closed: 486 Busy Here"]);
  assert.deepEqual(await house.close(), []);
});

Deno.test("a stream that begins something else ends what it did", async () => {
  const house = new AccountHouse();
  const guest = await house.enter("call/desk");
  const stream = await guest.publish("100");
  await stream.publish("200");
  await stream.play("100");
  const other = await guest.publish("100");
  other.close();
  await house.until("the name is free again", () => house.streams.usage.publishers === 0);
  assert.deepEqual(await house.close(), []);
});
