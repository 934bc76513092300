// Every kind of call over real sockets, as the registry lists it, and hung up through it.

import assert from "node:assert/strict";
import type { CallRecord } from "../../lib/call/registry.ts";
import type { StreamRecord } from "../../lib/call/call_media.ts";
import type { Gateway } from "../../lib/gateway/gateway.ts";
import { SipServer } from "../../lib/tools/sipd/sip_server.ts";
import { RtmpPhone, speak } from "../support/rtmp_phone.ts";
import { StreamProgram, until } from "../support/stream_program.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { connectAt, startWorkers } from "../support/workers_house.ts";

const ACCOUNT =
  '[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\nanswer = "auto"\ncodecs = ["pcmu"]\n';

/** Mu-law, mono, 20 ms. */
const ULAW = new Uint8Array(161).fill(0x82);

/** A gateway and the built-in numbers, with one registry. */
async function start(): Promise<{ running: TestGateway; echo: string } & AsyncDisposable> {
  const running = await startGateway({}, ACCOUNT);
  const { gateway: { calls }, environment } = running;
  const listen = { hostname: "127.0.0.1", port: 0 };
  const sipd = await SipServer.start({ listen, portFallback: false }, { ...environment, calls });
  return {
    running,
    echo: `sip:echo@127.0.0.1:${sipd.address.port}`,
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await sipd[Symbol.asyncDispose]();
      assert.deepEqual(calls.list(), [], "an ended call is listed still");
    },
  };
}

/** The one call of a direction, when both legs of it are up and have sent and received. */
async function talking(
  { calls }: Gateway,
  direction: "in" | "out",
  remoteUser: RegExp,
): Promise<CallRecord> {
  const find = (): CallRecord | undefined =>
    calls.list().find((call) => call.direction === direction && remoteUser.test(call.remote.uri));
  await until(`a call ${direction} has packets both ways`, () => {
    const { status, streams: [audio] } = find() ?? { status: "", streams: [] };
    return status === "in-progress" && audio !== undefined && audio.stats.sent > 5 &&
      audio.stats.received > 5;
  });
  return find()!;
}

function codecsOf({ send, receive: [first] }: StreamRecord): string {
  return `${send.client} > ${send.codec} ${send.payloadType} < ${first?.codec} ${first?.payloadType}`;
}

function ulaw(seconds: number): Uint8Array[] {
  return Array.from({ length: 50 * seconds }, () => ULAW);
}

Deno.test("a client's call to a built-in number: both legs are listed, and hung up at the client's", async () => {
  await using house = await start();
  const { running: { gateway, url }, echo } = house;
  await using phone = await RtmpPhone.connect({ url: url("alice@127.0.0.1") });
  phone.client.send("invite", echo, "pcmu");
  await phone.expect("accepted");
  const speaking = speak(phone.speaking, { tag: 0x82, count: 30, size: 160 });
  const [out, into] = [await talking(gateway, "out", /echo/), await talking(gateway, "in", /alice/)];
  assert.equal(out.sipCallId, into.sipCallId);
  assert.deepEqual([out.account, out.local, out.rtmp?.address, out.rtmp?.path], [
    null,
    "sip:alice@127.0.0.1",
    "127.0.0.1",
    "sip/alice@127.0.0.1",
  ]);
  assert.deepEqual([into.account, into.rtmp, into.remote.uri], [null, null, "sip:alice@127.0.0.1"]);
  assert.equal(codecsOf(out.streams[0]!), "pcmu > pcmu 0 < pcmu 0");
  assert.equal(codecsOf(into.streams[0]!), "null > pcmu 0 < pcmu 0");
  assert.ok(out.startMs <= out.answerMs! && out.answerMs! <= Date.now());
  assert.ok(gateway.calls.hangUp(out.id));
  await phone.expect("byed");
  await speaking;
  await until("the number has the BYE", () => gateway.calls.size === 0);
  const [ours, theirs] = [gateway.calls.find(out.id), gateway.calls.find(into.id)];
  assert.deepEqual([ours?.status, ours?.ending?.by], ["completed", "local"]);
  assert.deepEqual([theirs?.status, theirs?.ending?.by], ["completed", "remote"]);
  const { sent, octetsSent, received, octetsReceived } = ours!.streams[0]!.stats;
  assert.deepEqual([octetsSent, octetsReceived], [160 * sent, 160 * received]);
  assert.ok(theirs!.streams[0]!.stats.received <= sent);
});

Deno.test("a call of a built-in number is hung up at its end: the client hears byed", async () => {
  await using house = await start();
  const { running: { gateway, url }, echo } = house;
  await using phone = await RtmpPhone.connect({ url: url("alice@127.0.0.1") });
  phone.client.send("invite", echo, "pcmu");
  await phone.expect("accepted");
  const speaking = speak(phone.speaking, { tag: 0x82, count: 20, size: 160 });
  assert.ok(gateway.calls.hangUp((await talking(gateway, "in", /alice/)).id));
  await phone.expect("byed");
  await speaking;
  await until("both are over", () => gateway.calls.size === 0);
});

Deno.test("a call by URL: listed with its publisher; hung up, the publisher's stream ends", async () => {
  await using house = await start();
  const { running: { gateway }, echo } = house;
  const publisher = await StreamProgram.connect(`rtmp://127.0.0.1:${gateway.rtmp.port}/call/desk`);
  await publisher.publish(echo);
  const speaking = publisher.speak(ulaw(2), 20);
  const out = await talking(gateway, "out", /echo/);
  assert.deepEqual([out.account, out.local, out.rtmp?.path], [
    "desk",
    "sip:desk@127.0.0.1",
    `call/desk/${echo}`,
  ]);
  assert.equal(codecsOf(out.streams[0]!), "pcmu > pcmu 0 < pcmu 0");
  assert.ok(gateway.calls.hangUp(out.id));
  await until("the publisher is told", () => publisher.words.includes("NetStream.Call.Ended: hung up"));
  await publisher.client.closed;
  await speaking;
  await publisher.close();
  await until("both are over", () => gateway.calls.size === 0);
});

Deno.test("a call-in line: the caller's leg and the line's are listed; hung up, the caller hears byed", async () => {
  await using house = await start();
  const { running: { gateway, url } } = house;
  await using phone = await RtmpPhone.connect({ url: url("alice@127.0.0.1") });
  phone.client.send("invite", `sip:desk@127.0.0.1:${gateway.sipPort}`, "pcmu");
  await phone.expect("accepted");
  const speaking = speak(phone.speaking, { tag: 0x82, count: 30, size: 160 });
  const into = await talking(gateway, "in", /alice/);
  assert.deepEqual([into.account, into.local, into.rtmp], ["desk", "sip:desk@127.0.0.1", null]);
  const publisher = await StreamProgram.connect(`rtmp://127.0.0.1:${gateway.rtmp.port}/line/desk`);
  await publisher.publish("say");
  await until("its publisher is listed", () => gateway.calls.find(into.id)?.rtmp?.path === "line/desk/say");
  assert.ok(gateway.calls.hangUp(into.id));
  await phone.expect("byed");
  await until("the publisher is told", () => publisher.words.includes("NetStream.Call.Ended: hung up"));
  await speaking;
  await publisher.close();
  await until("both are over", () => gateway.calls.size === 0);
});

Deno.test("two workers: their calls are one list, and each is hung up through the supervisor", async () => {
  await using house = await startWorkers();
  const { supervisor } = house;
  const connect = (worker: number, user: string, answers?: readonly string[]) =>
    connectAt(house, worker, () =>
      RtmpPhone.connect({
        url: house.url(`sip/${user}@127.0.0.1`),
        ...(answers !== undefined && { answers }),
      }));
  await using alice = await connect(0, "alice");
  await using bob = await connect(1, "bob", ["pcmu"]);
  alice.client.send("invite", `sip:bob@127.0.0.1:${supervisor.sipPorts[1]}`, "pcmu");
  await Promise.all([alice.expect("accepted"), bob.expect("accepted")]);
  using watch = supervisor.calls.watch();
  const { calls, missing, more } = await supervisor.calls.list();
  assert.deepEqual([missing, more], [[], 0]);
  const [out, into] = calls;
  assert.deepEqual([out?.direction, into?.direction, calls.length], ["out", "in", 2]);
  assert.equal(out?.sipCallId, into?.sipCallId);
  assert.notEqual(out?.id, into?.id);
  assert.equal(await supervisor.calls.hangUp("nobody"), false);
  assert.equal(await supervisor.calls.hangUp(into!.id), true);
  await Promise.all([alice.expect("byed"), bob.expect("byed")]);
  await until("both are over", () => supervisor.usage.calls === 0);
  const told: string[] = [];
  for await (const change of watch) {
    if (change.type === "ended") told.push(change.call.id);
    if (told.length === 2) break;
  }
  assert.deepEqual(told.sort(), [out!.id, into!.id].sort());
  const ended = await supervisor.calls.ended();
  assert.deepEqual(
    ended.calls.map(({ id, ending }) => `${id} ${ending?.by}`).sort(),
    [`${out!.id} remote`, `${into!.id} local`].sort(),
  );
});
