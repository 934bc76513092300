// Whoever takes a buffer has it alone; what is given back is lent again, up to a bound.

import assert from "node:assert/strict";
import fc from "fast-check";
import { BufferPool, type PooledBuffer } from "../../lib/net/buffer_pool.ts";

Deno.test("a buffer is as long as was asked for, at most twice as long, and at least 512 bytes", () => {
  const pool = new BufferPool();
  for (
    const [asked, given] of [[1, 512], [512, 512], [513, 1024], [4096, 4096], [4097, 8192], [65536, 65536]]
  ) {
    assert.equal(pool.take(asked!).bytes.length, given);
  }
  assert.equal(pool.take(65537).bytes.length, 65537, "long ones are made to measure");
});

Deno.test("what is given back is lent again, to one at a time", () => {
  const pool = new BufferPool();
  const first = pool.take(100);
  const second = pool.take(100);
  assert.notEqual(first, second);
  pool.give(first);
  assert.equal(pool.keptBytes, 512);
  assert.equal(pool.take(512), first);
  assert.notEqual(pool.take(512), first);
  assert.equal(pool.lent, 3);
});

Deno.test("no two borrowers ever share bytes, and no more than half a MiB of each size is kept", () => {
  const step = fc.integer({ min: 1, max: 100_000 });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (sizes) => {
      const pool = new BufferPool();
      const lent: PooledBuffer[] = [];
      for (const size of sizes) {
        if (size % 3 === 0 && lent.length > 0) pool.give(lent.splice(size % lent.length, 1)[0]!);
        else lent.push(pool.take(size));
        assert.equal(new Set(lent).size, lent.length);
        assert.equal(pool.lent, lent.length);
      }
      assert.ok(lent.every((buffer) => buffer.bytes.length >= 512));
    }),
  );
  const pool = new BufferPool();
  const many = Array.from({ length: 20 }, () => pool.take(65536));
  for (const buffer of many) pool.give(buffer);
  assert.equal(pool.keptBytes, 512 * 1024);
});

Deno.test("a view of the same place is the same view", () => {
  const buffer = new BufferPool().take(600);
  const first = buffer.view(0, 170);
  assert.equal(buffer.view(0, 170), first);
  assert.equal(first.length, 170);
  const other = buffer.view(10, 170);
  assert.deepEqual([other.length, other.byteOffset], [160, 10]);
});
