// The files of deploy/ running: two gateways behind HAProxy and Kamailio carry 50 calls, and one is killed. The calls of
// the other go on, and the clients of the killed one come back through it within 5 s (issue: beyond one machine).

import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { RtmpRefused } from "../../lib/rtmp/client.ts";
import { type Site, startSite, until } from "../support/deploy_site.ts";
import { hasPeer } from "../support/peers.ts";
import { type RtmpPhone, speak } from "../support/rtmp_phone.ts";

const ignore = !hasPeer("haproxy", "kamailio");

const CALLS = 50;
/** How long everybody speaks, and when the gateway is killed. */
const SECONDS = 8;
const KILL_AT_SECONDS = 2;
/** What the clients of a killed gateway have to be registered again. */
const BACK_WITHIN_MS = 5000;
/** Packets a call on the other gateway may miss: a tenth of a second. */
const MAX_MISSING = 5;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Talker {
  readonly user: string;
  readonly phone: RtmpPhone;
}

async function dial(phone: RtmpPhone, number: string): Promise<void> {
  phone.client.send("invite", number, "pcmu");
  await phone.expect("accepted");
}

/** Ten at a time, as people do not come all at once. */
async function connectAndDial(site: Site): Promise<Talker[]> {
  const talkers: Talker[] = [];
  for (let first = 1; first <= CALLS; first += 10) {
    const some = Array.from({ length: 10 }, async (_, index): Promise<Talker> => {
      const user = `alice${first + index}`;
      const phone = await site.connect(user);
      await dial(phone, `${7000 + first + index}`);
      return { user, phone };
    });
    talkers.push(...await Promise.all(some));
  }
  return talkers;
}

/** What a client's program does when its connection ends: tries again until it is registered. */
async function comeBack(site: Site, user: string): Promise<{ phone: RtmpPhone; afterMs: number }> {
  const startMs = performance.now();
  for (;;) {
    try {
      const phone = await site.connect(user, { answers: ["pcmu"] });
      return { phone, afterMs: performance.now() - startMs };
    } catch (error) {
      if (!(error instanceof TransportError || error instanceof RtmpRefused)) throw error;
      if (performance.now() - startMs > BACK_WITHIN_MS) throw error;
      await pause(100);
    }
  }
}

/** Sequence numbers as speak() wrote them that were not heard. */
function missing(sent: readonly Uint8Array[], heard: readonly Uint8Array[]): number[] {
  const numberOf = (body: Uint8Array): number => body[1]! << 8 | body[2]!;
  const there = new Set(heard.map(numberOf));
  return sent.map(numberOf).filter((number) => !there.has(number));
}

Deno.test({
  name:
    `one of two gateways is killed under ${CALLS} calls: the others go on, its clients are back within 5 s`,
  ignore,
}, async () => {
  await using site = await startSite({ users: CALLS });
  await using phones = new AsyncDisposableStack();
  const talkers = await connectAndDial(site);
  for (const { phone } of talkers) phones.use(phone);
  const before = await site.haproxy.servers();
  for (const [name, { status, connections }] of before) {
    assert.equal(status, "UP", name);
    assert.ok(Math.abs(connections - CALLS / 2) <= 1, `${name} has ${connections}`);
  }
  const speaking = Promise.all(
    talkers.map(({ phone }) => speak(phone.speaking, { tag: 0x82, count: SECONDS * 50, size: 160 })),
  );
  await pause(KILL_AT_SECONDS * 1000);

  const killedMs = performance.now();
  void site.gateways[0].stop("SIGKILL");
  const gone: (Talker & { goneMs: number })[] = [];
  for (const talker of talkers) {
    void talker.phone.client.closed.then(() =>
      gone.push({ ...talker, goneMs: performance.now() - killedMs })
    );
  }
  await until("its clients are disconnected", () => gone.length === before.get("gateway1")!.connections);
  const back = await Promise.all(gone.map(async ({ user, goneMs }) => {
    const { phone, afterMs } = await comeBack(site, user);
    phones.use(phone);
    return { user, phone, registeredMs: goneMs + afterMs };
  }));
  const worstMs = Math.max(...back.map(({ registeredMs }) => registeredMs));
  assert.ok(worstMs < BACK_WITHIN_MS, `the last one was registered after ${worstMs} ms`);

  const again = await Promise.all(back.map(async ({ user, phone }) => {
    await dial(phone, "8000");
    const sent = await speak(phone.speaking, { tag: 0x82, count: 50, size: 160 });
    await pause(300);
    phone.client.send("bye");
    return { user, missing: missing(sent, phone.audio) };
  }));
  assert.deepEqual(again.filter(({ missing }) => missing.length > MAX_MISSING), [], "new calls are whole");

  const sent = await speaking;
  await pause(500);
  const survivors = talkers.map((talker, index) => ({ ...talker, sent: sent[index]! }))
    .filter(({ phone }) => !gone.some((other) => other.phone === phone));
  assert.equal(survivors.length, before.get("gateway2")!.connections);
  const harmed = survivors.map(({ user, phone, sent }) => ({ user, missing: missing(sent, phone.audio) }))
    .filter(({ missing }) => missing.length > MAX_MISSING);
  assert.deepEqual(harmed, [], "calls of the other gateway");
  const [other, returned] = [survivors[0]!, back[0]!];
  other.phone.client.send("bye");
  await dial(other.phone, returned.user);
  assert.match(String((await returned.phone.expect("invited"))[0]), new RegExp(`sip:${other.user}@`));
  await until("the trunk hears that the calls of the killed gateway are over", () => {
    return site.trunk.calls.filter((call) => !call.ended).length === survivors.length - 1;
  });
  assert.doesNotMatch(site.kamailio.output(), /ERROR|CRITICAL/);
});
