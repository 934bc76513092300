// A place is carved again only when every packet of its slab has left.

import assert from "node:assert/strict";
import fc from "fast-check";
import { SendSlabs } from "../../lib/net/send_slabs.ts";

Deno.test("packets that leave at once use the same two slabs for ever", () => {
  const slabs = new SendSlabs();
  for (let i = 0; i < 10_000; i++) {
    const slab = slabs.withRoom(172);
    slab.carve(172).fill(i);
    slab.left();
  }
  assert.ok(slabs.made <= 2, `${slabs.made} slabs`);
});

Deno.test("the longest packet fits", () => {
  const slabs = new SendSlabs();
  assert.equal(slabs.withRoom(65507).carve(65507).length, 65507);
  assert.equal(slabs.withRoom(65507).carve(65507).length, 65507);
  assert.equal(slabs.made, 2);
});

Deno.test("no packet is overwritten before it has left, whatever the order", () => {
  const packet = fc.record({
    length: fc.integer({ min: 1, max: 9000 }),
    stays: fc.integer({ min: 0, max: 60 }),
  });
  fc.assert(
    fc.property(fc.array(packet, { minLength: 20, maxLength: 300 }), (packets) => {
      const slabs = new SendSlabs();
      const waiting: { bytes: Uint8Array; mark: number; until: number; left: () => void }[] = [];
      packets.forEach(({ length, stays }, i) => {
        const slab = slabs.withRoom(length);
        const bytes = slab.carve(length);
        bytes.fill(i);
        waiting.push({ bytes, mark: i & 0xff, until: i + stays, left: slab.left });
        for (const [at, sent] of [...waiting.entries()].reverse()) {
          assert.ok(sent.bytes.every((byte) => byte === sent.mark));
          if (sent.until <= i) waiting.splice(at, 1)[0]!.left();
        }
      });
    }),
    { numRuns: 30 },
  );
});

Deno.test("a slab of which a packet never leaves is not used again, and is let go", () => {
  const slabs = new SendSlabs();
  slabs.withRoom(100).carve(100);
  for (let i = 0; i < 20_000; i++) {
    const slab = slabs.withRoom(172);
    slab.carve(172);
    slab.left();
  }
  assert.ok(slabs.made < 20, `${slabs.made} slabs`);
});
