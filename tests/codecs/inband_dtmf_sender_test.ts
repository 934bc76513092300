import assert from "node:assert/strict";
import { DtmfDetector } from "../../lib/codecs/dtmf_detector.ts";
import { InbandDtmfSender } from "../../lib/codecs/inband_dtmf_sender.ts";
import { decodeG711, type G711Law } from "../../lib/codecs/g711_tables.ts";
import { FakeClock } from "../support/fake_clock.ts";

interface Block {
  readonly payload: Uint8Array;
  readonly timestamp: number;
  readonly marker: boolean;
  readonly atMs: number;
}

function bench(law: G711Law = "pcmu") {
  const clock = new FakeClock(1000);
  const blocks: Block[] = [];
  const sender = new InbandDtmfSender({
    clock,
    law,
    timestampAt: (nowMs) => nowMs * 8,
    send: (payload, timestamp, marker) => {
      blocks.push({ payload: payload.slice(), timestamp, marker, atMs: clock.now() });
    },
  });
  return { clock, blocks, sender };
}

/** The keys in the sound, each with its length to the nearest 20 ms. */
function keysIn(blocks: readonly Block[], law: G711Law): string[] {
  const keys: string[] = [];
  const detector = new DtmfDetector((key, durationMs) =>
    keys.push(`${key}/${Math.round(durationMs / 20) * 20}`)
  );
  const samples = new Int16Array(160);
  for (const { payload } of blocks) {
    decodeG711(law, payload, samples);
    detector.push(samples);
  }
  detector.interrupt();
  return keys;
}

for (const law of ["pcmu", "pcma"] as const) {
  Deno.test(`keys in ${law}: one block every 20 ms, timestamps in a row from now on, one marker`, () => {
    const { clock, blocks, sender } = bench(law);
    assert.equal(sender.enqueue("5#a", 100), true);
    assert.equal(sender.active, true);
    clock.advance(10_000);
    assert.equal(sender.active, false);
    assert.equal(blocks.length, 3 * 8);
    blocks.forEach((block, i) => {
      assert.deepEqual(
        [block.timestamp, block.atMs, block.marker, block.payload.length],
        [8000 + i * 160, 1000 + i * 20, i === 0, 160],
      );
    });
    assert.deepEqual(keysIn(blocks, law), ["5/100", "#/100", "A/100"]);
    assert.equal(sender.endTimestamp, 8000 + 24 * 160);
  });
}

Deno.test("keys queued while others sound follow them; later ones begin at their own now", () => {
  const { clock, blocks, sender } = bench();
  sender.enqueue("1", 40);
  clock.advance(30);
  sender.enqueue("2", 40);
  clock.advance(1000);
  assert.equal(blocks.length, 2 * 5);
  sender.enqueue("3", 40);
  assert.equal(blocks.at(-1)?.timestamp, 2030 * 8);
  clock.advance(1000);
  assert.deepEqual(keysIn(blocks, "pcmu").map((key) => key[0]), ["1", "2", "3"]);
});

Deno.test("a key that ends within a block, a very short and a very long one", () => {
  const { clock, blocks, sender } = bench();
  sender.enqueue("4", 58);
  sender.enqueue("4", 1);
  sender.enqueue("4", 1e9);
  clock.advance(20_000);
  assert.deepEqual(keysIn(blocks, "pcmu"), ["4/60", "4/40", "4/10000"]);
});

Deno.test("what cannot be sent is refused as a whole", () => {
  const { blocks, sender } = bench();
  for (const digits of ["", "12x", "1".repeat(129)]) assert.equal(sender.enqueue(digits, 100), false);
  assert.equal(blocks.length, 0);
  sender[Symbol.dispose]();
  assert.equal(sender.enqueue("1", 100), false);
});

Deno.test("disposed in the middle of a key, also by its outlet: nothing more, no timer", () => {
  const { clock, blocks, sender } = bench();
  sender.enqueue("123", 100);
  clock.advance(50);
  sender[Symbol.dispose]();
  clock.advance(1000);
  assert.deepEqual([blocks.length, clock.pending, sender.active], [3, 0, false]);
  const hasty: InbandDtmfSender = new InbandDtmfSender({
    clock,
    law: "pcmu",
    timestampAt: () => 0,
    send: () => hasty[Symbol.dispose](),
  });
  hasty.enqueue("1", 100);
  assert.equal(clock.pending, 0);
});
