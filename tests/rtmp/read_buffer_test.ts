import assert from "node:assert/strict";
import { ReadBuffer } from "../../lib/rtmp/read_buffer.ts";
import { pipePair } from "../support/pipe.ts";

function counting(length: number): Uint8Array {
  return new Uint8Array(length).map((_, at) => at * 7);
}

Deno.test("read buffer: bytes come out as they went in, however they are consumed", async () => {
  for (const maxRead of [1, 100, 70_000]) {
    const [near, far] = pipePair({ maxRead, window: 1 << 20 });
    const sent = counting(50_000);
    near.put(sent);
    await near.flush(1000);
    near.close();
    const buffer = new ReadBuffer(far);
    const got: number[] = [];
    for (let turn = 0; await buffer.fill(); turn++) {
      const count = turn % 3 === 0 ? Math.floor(buffer.length / 2) : buffer.length;
      got.push(...buffer.view().subarray(0, count));
      buffer.consume(count);
    }
    got.push(...buffer.view());
    assert.deepEqual(Uint8Array.from(got), sent);
    far.close();
  }
});

Deno.test("read buffer: need() waits for enough, and says when the end comes first", async () => {
  const [near, far] = pipePair({ maxRead: 10 });
  const buffer = new ReadBuffer(far);
  near.put(counting(100));
  assert.equal(await buffer.need(64), true);
  assert.ok(buffer.length >= 64);
  await near.flush(1000);
  near.close();
  assert.equal(await buffer.need(101), false);
  assert.equal(buffer.length, 100);
  far.close();
});

Deno.test("read buffer: is small at first and grows only while reads fill it", async () => {
  const [near, far] = pipePair({ window: 1 << 20 });
  const buffer = new ReadBuffer(far);
  near.put(counting(200_000));
  await near.flush(1000);
  const sizes: number[] = [];
  for (let total = 0; total < 200_000;) {
    await buffer.fill();
    sizes.push(buffer.length);
    total += buffer.length;
    buffer.consume(buffer.length);
  }
  assert.deepEqual(sizes.slice(0, 5), [4096, 8192, 16384, 32768, 65536]);
  assert.ok(Math.max(...sizes) <= 65536);
  near.close();
  far.close();
});

Deno.test("read buffer: shrinks when told, and when reads leave most of it unused for long", async () => {
  const [near, far] = pipePair({ window: 1 << 20 });
  const buffer = new ReadBuffer(far);
  const receive = async (count: number): Promise<void> => {
    near.put(counting(count));
    for (let got = 0; got < count;) {
      await buffer.fill();
      got += buffer.length;
      buffer.consume(buffer.length);
    }
  };
  assert.equal(buffer.capacity, 4096);
  buffer.shrink();
  assert.equal(buffer.capacity, 512);
  await receive(40_000);
  const grown = buffer.capacity;
  assert.ok(grown >= 8192);
  for (let i = 0; i < 2000; i++) await receive(170);
  assert.equal(buffer.capacity, 512);
  near.put(counting(100));
  await buffer.fill();
  buffer.consume(40);
  buffer.shrink();
  assert.deepEqual(buffer.view(), counting(100).subarray(40), "what waits to be consumed stays");
  near.close();
  far.close();
});

Deno.test("read buffer: a broken stream is an error", async () => {
  const [near, far] = pipePair();
  far.readsUntilFailure = 0;
  await assert.rejects(new ReadBuffer(far).fill(), /planned/);
  near.close();
  far.close();
});
