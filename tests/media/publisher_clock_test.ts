import assert from "node:assert/strict";
import { PublisherClock, StreamAnchor } from "../../lib/media/publisher_clock.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("the first time means now, later ones count from it, for all streams of the publisher", () => {
  const clock = new FakeClock(5000);
  const publisher = new PublisherClock(clock);
  assert.equal(publisher.momentOf(70), 5000);
  clock.advance(100);
  assert.equal(publisher.momentOf(150), 5080, "what comes late was not late where it was made");
});

for (
  const [name, act, timeMs] of [
    ["a clock set back", () => {}, 10],
    ["a leap into the future", () => {}, 90_000],
    ["another publisher", (publisher: PublisherClock) => publisher.restart(), 1_100],
  ] as const
) {
  Deno.test(`${name} means now`, () => {
    const clock = new FakeClock(5000);
    const publisher = new PublisherClock(clock);
    publisher.momentOf(0);
    for (let passed = 0; passed < 3000; passed += 20) publisher.momentOf(passed), clock.advance(20);
    act(publisher);
    assert.equal(publisher.momentOf(timeMs), 8000);
  });
}

function anchors(clockRate: number) {
  const clock = new FakeClock(1000);
  const publisher = new PublisherClock(clock);
  const told: { timestamp: number; atMs: number }[] = [];
  const anchor = new StreamAnchor(
    publisher,
    clockRate,
    (timestamp, atMs) => void told.push({ timestamp, atMs }),
  );
  return { clock, publisher, anchor, told };
}

Deno.test("an exact stream is anchored exactly", () => {
  const { anchor, told, clock } = anchors(90_000);
  for (let i = 0; i < 50; i++) anchor.placed(i * 3600, i * 40), clock.advance(40);
  assert.deepEqual(told.map(({ atMs }) => Math.round(atMs)), told.map((_, i) => 1000 + i * 40));
});

Deno.test("jitter of the stamps is smoothed, a step is followed at once", () => {
  const { anchor, told, clock } = anchors(8000);
  for (let i = 0; i < 500; i++) anchor.placed(i * 160, i * 20 + (i % 2 === 0 ? 0 : 14)), clock.advance(20);
  const errors = told.slice(200).map(({ atMs }, i) => atMs - (1000 + 7 + (i + 200) * 20));
  assert.ok(Math.max(...errors.map(Math.abs)) < 1, `${Math.max(...errors)}`);
  clock.advance(1000);
  anchor.placed(500 * 160, 500 * 20 + 1000);
  assert.equal(told.at(-1)?.atMs, 1000 + 500 * 20 + 1000);
});
