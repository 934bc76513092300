import assert from "node:assert/strict";
import { DigitInbox, type DigitSource } from "../../lib/call/digit_inbox.ts";
import { FakeClock } from "../support/fake_clock.ts";

type Step = readonly [source: DigitSource, digit: string, durationMs: number, waitMs: number];

const ROWS: [name: string, steps: Step[], told: string][] = [
  ["one way, the same key again and again", [
    ["media", "5", 100, 120],
    ["media", "5", 100, 120],
    ["media", "5", 100, 120],
  ], "555"],
  ["both ways, INFO first", [["info", "5", 100, 90], ["media", "5", 100, 500]], "5"],
  ["both ways, the same key twice", [
    ["media", "5", 100, 10],
    ["info", "5", 160, 200],
    ["media", "5", 100, 10],
    ["info", "5", 160, 200],
  ], "55"],
  ["both ways, INFO behind by two keys", [
    ["media", "5", 100, 150],
    ["media", "5", 100, 150],
    ["info", "5", 100, 150],
    ["info", "5", 100, 150],
  ], "55"],
  ["a key held for long: INFO at its start, the event at its end", [
    ["info", "7", 160, 4000],
    ["media", "7", 4000, 0],
  ], "7"],
  ["different keys", [["media", "1", 100, 0], ["info", "2", 100, 0]], "12"],
  ["long after, it is another key", [["media", "1", 100, 1200], ["info", "1", 100, 0]], "11"],
];

for (const [name, steps, told] of ROWS) {
  Deno.test(`incoming touch tones: ${name}`, () => {
    const clock = new FakeClock();
    let keys = "";
    const inbox = new DigitInbox(clock, (digit) => keys += digit);
    for (const [source, digit, durationMs, waitMs] of steps) {
      inbox.take(source, digit, durationMs);
      clock.advance(waitMs);
    }
    assert.equal(keys, told);
  });
}

Deno.test("its memory has an end", () => {
  const clock = new FakeClock();
  let keys = 0;
  const inbox = new DigitInbox(clock, () => keys++);
  for (let i = 0; i < 1000; i++) inbox.take("media", "5", 100);
  for (let i = 0; i < 32; i++) inbox.take("info", "5", 100);
  assert.equal(keys, 1000);
  inbox.take("info", "5", 100);
  assert.equal(keys, 1001);
});
