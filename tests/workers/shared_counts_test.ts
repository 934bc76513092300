import assert from "node:assert/strict";
import { SharedCounts } from "../../lib/workers/shared_counts.ts";

Deno.test("shared counts: each worker counts its own, everybody sees the whole", () => {
  const here = new SharedCounts(3);
  const there = new SharedCounts(3, here.memory);
  const [first, last] = [here.counter(0, "calls"), there.counter(2, "calls")];
  first.add(5);
  last.add(2);
  last.add(-1);
  assert.deepEqual([first.here, first.everywhere], [5, 6]);
  assert.deepEqual([last.here, last.everywhere], [1, 6]);
  there.set(1, "rtpPorts", 7);
  assert.deepEqual([here.of(1, "rtpPorts"), here.total("rtpPorts"), here.total("clients")], [7, 7, 0]);
});

Deno.test("shared counts: what a worker that died had counted is gone, the others' is not", () => {
  const counts = new SharedCounts(2);
  for (const worker of [0, 1]) {
    counts.beat(worker);
    counts.set(worker, "connections", 4);
    counts.set(worker, "clients", 3);
  }
  counts.clear(0);
  assert.deepEqual([counts.total("connections"), counts.total("clients")], [4, 3]);
  assert.deepEqual([counts.beats(0), counts.beats(1)], [0, 1]);
});

Deno.test("shared counts: serial numbers are given once, to whomever", () => {
  const here = new SharedCounts(2);
  const there = new SharedCounts(2, here.memory);
  assert.deepEqual([here.nextSerial(), there.nextSerial(), here.nextSerial()], [1, 2, 3]);
  here.clear(0);
  assert.equal(there.nextSerial(), 4);
});
