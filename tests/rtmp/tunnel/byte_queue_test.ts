import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteQueue } from "../../../lib/rtmp/tunnel/byte_queue.ts";

Deno.test("what goes in comes out in order, whatever the sizes", () => {
  const steps = fc.array(fc.oneof(fc.record({ put: fc.nat(9000) }), fc.record({ take: fc.nat(9000) })));
  fc.assert(fc.property(steps, (script) => {
    const queue = new ByteQueue();
    let written = 0;
    let read = 0;
    for (const step of script) {
      if ("put" in step) queue.push(Uint8Array.from({ length: step.put }, () => written++ % 251));
      else {
        const into = new Uint8Array(step.take);
        const count = queue.shiftInto(into);
        assert.equal(count, Math.min(step.take, written - read));
        for (let i = 0; i < count; i++) assert.equal(into[i], read++ % 251);
      }
      assert.equal(queue.length, written - read);
    }
  }));
});

Deno.test("bytes are copied, and clear() drops them", () => {
  const queue = new ByteQueue();
  const bytes = Uint8Array.of(1, 2, 3);
  queue.push(bytes);
  bytes.fill(9);
  const into = new Uint8Array(2);
  assert.equal(queue.shiftInto(into), 2);
  assert.deepEqual(into, Uint8Array.of(1, 2));
  queue.clear();
  assert.equal(queue.length, 0);
  assert.equal(queue.shiftInto(into), 0);
});
