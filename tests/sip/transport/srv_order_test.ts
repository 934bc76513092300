// Answers to: lib/sip/transport/srv_order.ts.

import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRandom } from "../../../lib/base/random.ts";
import { orderSrv } from "../../../lib/sip/transport/srv_order.ts";

const record = fc.record({ priority: fc.nat(3), weight: fc.constantFrom(0, 0, 1, 10, 65535), id: fc.nat() });

Deno.test("srv_order: a permutation, sorted by priority", () => {
  fc.assert(fc.property(fc.array(record, { maxLength: 20 }), fc.nat(), (records, seed) => {
    const ordered = orderSrv(records, seededRandom(seed));
    assert.equal(ordered.length, records.length);
    assert.deepEqual(new Set(ordered), new Set(records));
    for (let i = 1; i < ordered.length; i++) assert.ok(ordered[i - 1]!.priority <= ordered[i]!.priority);
  }));
});

Deno.test("srv_order: weights 3 to 1 within a priority, weight 0 hardly ever first", () => {
  const random = seededRandom(11);
  const first = new Map<string, number>();
  const records = [
    { priority: 1, weight: 25, id: "one" },
    { priority: 1, weight: 75, id: "three" },
    { priority: 1, weight: 0, id: "spare" },
    { priority: 2, weight: 99, id: "later" },
  ];
  for (let i = 0; i < 4000; i++) {
    const ordered = orderSrv(records, random);
    first.set(ordered[0]!.id, (first.get(ordered[0]!.id) ?? 0) + 1);
    assert.equal(ordered[3]!.id, "later");
  }
  const ratio = first.get("three")! / first.get("one")!;
  assert.ok(ratio > 2.5 && ratio < 3.6, `ratio ${ratio}`);
  const spare = first.get("spare") ?? 0;
  assert.ok(spare > 0 && spare < 100, `${spare} of 4000`);
});
