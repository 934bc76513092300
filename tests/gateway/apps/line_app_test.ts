import assert from "node:assert/strict";
import { lineCodecs } from "../../../lib/gateway/apps/line_app.ts";
import { textBody } from "../../../lib/sip/message/body.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { AccountHouse } from "../../support/account_house.ts";
import { ScriptedCall, ScriptedInvitation } from "../../support/gateway_fakes.ts";

const KEY = "a-key-of-sixteen-letters";
const AUTO = { answer: "auto" } as const;

/** Somebody calls and is answered. */
async function callUp(house: AccountHouse): Promise<ScriptedCall> {
  const [invitation, call] = [new ScriptedInvitation(), new ScriptedCall()];
  house.agent.incoming.push(invitation);
  await house.until("it is answered", () => invitation.said.some((said) => said.startsWith("200")));
  invitation.confirm(call);
  return call;
}

Deno.test("players find the line by every cut of its URL, and so do publishers", async () => {
  const house = new AccountHouse({ accounts: [AUTO] });
  const [bare, named] = [await house.enter("line"), await house.enter("line/desk")];
  await bare.play("desk");
  await named.play("hear");
  const speaker = await named.publish("say");
  await callUp(house);
  await bare.hears("Call.Accepted");
  house.factory.last.hear(20);
  await Promise.all([bare.hears("8@20"), named.hears("8@20")]);
  speaker.close();
  await bare.publish("desk/say");
  assert.deepEqual(await house.close(), []);
});

Deno.test("what is neither the line nor its publisher is refused with a hint", async () => {
  const house = new AccountHouse({ accounts: [AUTO, { name: "shy" }] });
  const guest = await house.enter("line");
  await assert.rejects(guest.publish("desk"), /publish to line\/desk\/say/);
  await assert.rejects(guest.publish("desk/shout"), /publish to line\/desk\/say/);
  await assert.rejects(guest.play("desk/say"), /play line\/desk/);
  await assert.rejects(guest.play("shy"), /shy takes no calls/);
  await assert.rejects(guest.play("nobody"), /no account nobody/);
  const refusals = house.log.lines.filter((line) => / (?:publish|play) refused: /.test(line));
  assert.equal(refusals.length, 5, "each in one line");
  assert.deepEqual(await house.close(), []);
});

Deno.test("players and publishers are asked for the key", async () => {
  const house = new AccountHouse({ accounts: [{ ...AUTO, key: KEY }] });
  const good = await house.enter(`line?key=${KEY}`);
  await good.play("desk");
  await good.publish("desk/say");
  const bad = await house.enter("line");
  const refused = assert.rejects(bad.play("desk"), /a key is needed/);
  await house.until("the connection ends", () => bad.ended, 100);
  await refused;
  assert.deepEqual(await house.close(), []);
});

Deno.test("each account answers for itself", async () => {
  const house = new AccountHouse({ accounts: [AUTO, { name: "shy" }] });
  const invitation = new ScriptedInvitation();
  house.agents.get("shy")!.incoming.push(invitation);
  await house.until("it is refused", () => invitation.said.length > 0);
  assert.deepEqual(invitation.said, ["480 Temporarily Unavailable"]);
  await callUp(house);
  assert.deepEqual(await house.close(), []);
});

Deno.test("texts to the account reach its clients, and are lost without any", async () => {
  const house = new AccountHouse({ accounts: [AUTO] });
  const [from, to] = [parseNameAddr("<sip:bob@10.0.0.2>"), parseNameAddr("<sip:desk@10.0.0.1>")];
  house.agent.incomingMessages.push({ from, to, body: textBody("early") });
  const guest = await house.enter("line");
  await guest.play("desk");
  await house.until("the first was taken", () => house.agent.incomingMessages.size === 0);
  house.agent.incomingMessages.push({ from, to, body: textBody("hello") });
  await house.until("it is told", () => guest.told.length > 0);
  assert.match(guest.told.join(), /^receivedPagingMessage .*bob.*hello$/);
  assert.deepEqual(await house.close(), []);
});

Deno.test("the waiting sound runs on one timer, however many lines wait", async () => {
  const house = new AccountHouse({ accounts: [{ ...AUTO, waiting: "tone" }, { ...AUTO, name: "other" }] });
  await callUp(house);
  const idleTimers = house.clock.pending;
  const [invitation, call] = [new ScriptedInvitation(), new ScriptedCall()];
  house.agents.get("other")!.incoming.push(invitation);
  await house.until("it is answered", () => invitation.said.length > 1);
  invitation.confirm(call);
  await house.until(
    "it is up",
    () => house.log.lines.some((line) => line.includes("account other: call with ")),
  );
  assert.equal(house.clock.pending, idleTimers);
  house.clock.advance(100);
  for (const media of house.factory.opened) {
    assert.ok(media.log.filter((each) => each.startsWith("8@")).length >= 5, media.log.join());
  }
  assert.deepEqual(await house.close(), []);
});

Deno.test("without the AAC module players get G.711", () => {
  assert.deepEqual(lineCodecs(new Set()), ["pcmu", "pcma", "h264", "dtmf"]);
  assert.deepEqual(lineCodecs(new Set(["speex", "aac"])), ["aac", "h264", "dtmf"]);
});

Deno.test("the house closes with a call up: it is hung up", async () => {
  const house = new AccountHouse({ accounts: [AUTO] });
  const guest = await house.enter("line");
  await guest.play("desk");
  const call = await callUp(house);
  await guest.hears("Call.Accepted");
  assert.deepEqual(await house.close(), []);
  assert.equal(call.hangUps, 1);
});
