// The helpers themselves: a fake that lies makes every test above it worthless.

import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { FakeClock } from "./fake_clock.ts";
import { FakeUdpNetwork } from "./fake_udp.ts";
import { hex } from "./hex.ts";
import { mutate } from "./mutate.ts";
import { pipePair, readBytes } from "./pipe.ts";
import { RecordLog } from "./record_log.ts";

Deno.test("the fake clock fires in order of time, then of setting, also what timers set", () => {
  const clock = new FakeClock();
  const fired: string[] = [];
  clock.after(20, () => fired.push(`b ${clock.now()}`));
  clock.after(10, () => {
    fired.push(`a ${clock.now()}`);
    clock.after(5, () => fired.push(`c ${clock.now()}`));
  });
  clock.after(20, () => fired.push(`d ${clock.now()}`));
  clock.after(15, () => fired.push("never"))[Symbol.dispose]();
  assert.deepEqual([clock.pending, clock.nextDueMs], [3, 10]);
  clock.advance(19);
  assert.deepEqual(fired, ["a 10", "c 15"]);
  clock.advance(1);
  assert.deepEqual(fired.slice(2), ["b 20", "d 20"]);
  assert.deepEqual([clock.now(), clock.pending, clock.nextDueMs], [20, 0, null]);
});

Deno.test("the fake clock lets promises run between timers", async () => {
  const clock = new FakeClock();
  const fired: number[] = [];
  const loop = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      await new Promise<void>((resolve) => clock.after(10, resolve));
      fired.push(clock.now());
    }
  };
  const done = loop();
  await clock.advanceAsync(100);
  await done;
  assert.deepEqual(fired, [10, 20, 30]);
});

Deno.test("a pipe carries bytes, cuts them as asked, stalls at its window and ends", async () => {
  const [a, b] = pipePair({ maxRead: 1, window: 4 });
  a.put(hex`01 02 03 04 05 06`);
  assert.deepEqual([...await readBytes(b, 6)], [1, 2, 3, 4, 5, 6]);
  assert.equal(await a.flush(1000), true);
  a.put(hex`07 08 09 0a 0b`);
  await new Promise<void>((resolve) => queueMicrotask(resolve));
  assert.ok(a.unsent > 0, "the window holds 4");
  const rest = readBytes(b);
  assert.equal(await a.flush(1000), true);
  a.close();
  assert.deepEqual([...await rest], [7, 8, 9, 10, 11]);
  assert.equal(await a.read(new Uint8Array(1)), null);
  b.close();
});

Deno.test("a pipe fails as planned, and a slow peer ends it as on a real connection", async () => {
  const [a, b] = pipePair({ hardUnsent: 100, window: 1 });
  b.readsUntilFailure = 1;
  a.put(hex`01`);
  assert.equal(await b.read(new Uint8Array(9)), 1);
  await assert.rejects(b.read(new Uint8Array(9)), /as planned/);
  a.put(new Uint8Array(90));
  assert.equal(a.put(new Uint8Array(90)), false);
  await assert.rejects(
    a.read(new Uint8Array(1)),
    (error) => error instanceof TransportError && error.code === "timeout",
  );
  b.close();

  const [c, d] = pipePair();
  c.writesUntilFailure = 0;
  const reading = c.read(new Uint8Array(1));
  c.put(hex`01`);
  await assert.rejects(reading, /write failed as planned/);
  assert.equal(await d.read(new Uint8Array(1)), null);
  d.close();
});

Deno.test("the fake network loses, repeats and reorders by its seed", async () => {
  const runOnce = async (): Promise<number[]> => {
    const clock = new FakeClock();
    const network = new FakeUdpNetwork({
      clock,
      seed: 3,
      loss: 0.2,
      duplication: 0.1,
      delayMs: 5,
      jitterMs: 50,
    });
    const from = network.bind({ hostname: "127.0.0.1", port: 0 });
    const to = network.bind({ hostname: "127.0.0.1", port: 0 });
    const seen: number[] = [];
    const ran = to.run((bytes) => seen.push(bytes[0]!));
    for (let i = 0; i < 100; i++) {
      from.send(Uint8Array.of(i), to.local);
      clock.advance(10);
    }
    clock.advance(100);
    to.close();
    await ran;
    assert.equal(from.sent.length, 100);
    assert.ok(network.lost > 5 && network.lost < 40);
    return seen;
  };
  const seen = await runOnce();
  assert.deepEqual(await runOnce(), seen);
  assert.ok(new Set(seen).size < seen.length, "repeats");
  assert.notDeepEqual(seen, seen.toSorted((a, b) => a - b), "reorders");
});

Deno.test("mutations repeat by seed and nearly always change something", () => {
  const original = new Uint8Array(64).map((_, i) => i);
  let changed = 0;
  for (let seed = 0; seed < 200; seed++) {
    const damaged = mutate(original, seed);
    assert.deepEqual(mutate(original, seed), damaged);
    if (damaged.length !== original.length || damaged.some((byte, i) => byte !== original[i])) changed++;
  }
  assert.ok(changed > 180, `${changed}`);
  assert.deepEqual(original, new Uint8Array(64).map((_, i) => i));
  for (let seed = 0; seed < 50; seed++) assert.ok(mutate(new Uint8Array(0), seed).length < 1000);
});

Deno.test("the recording log shares lines with its children and masks as the real one", () => {
  const log = new RecordLog("info");
  log.child("conn 1").category("sip").warn("bad password=x for bob", new Error("boom"));
  log.debug("not recorded");
  assert.deepEqual(log.lines, ["warn sip conn 1: bad password=**** for bob: boom"]);
  assert.deepEqual(log.at("info"), []);
});
