// Answers to: lib/gateway/account_gate.ts.

import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { AccountGate, MEAN_GAP_MS, MOST_AT_ONCE } from "../../lib/gateway/account_gate.ts";
import { FakeClock } from "../support/fake_clock.ts";

interface Scene {
  clock: FakeClock;
  gate: AccountGate;
  /** When each pass was given, in ms. */
  passed: { registrar: string; atMs: number; pass: Disposable | null }[];
  ask(registrar: string, signal?: AbortSignal): void;
}

function scene(): Scene {
  const clock = new FakeClock();
  const gate = new AccountGate({ clock, random: seededRandom(3) });
  const passed: Scene["passed"] = [];
  const ask = (registrar: string, signal = new AbortController().signal): void => {
    void (async () => {
      const pass = await gate.pass(registrar, signal);
      passed.push({ registrar, atMs: clock.now(), pass });
    })();
  };
  return { clock, gate, passed, ask };
}

Deno.test("gate: one after the other, in order, at the mean pace", async () => {
  const { clock, gate, passed, ask } = scene();
  const names = Array.from({ length: 500 }, (_, n) => `r${n}`);
  for (const name of names) ask(name);
  await clock.advanceAsync(60_000);
  assert.deepEqual(passed.map(({ registrar }) => registrar), names);
  for (const [index, { atMs }] of passed.slice(1).entries()) {
    const gapMs = atMs - passed[index]!.atMs;
    assert.ok(gapMs >= MEAN_GAP_MS * 0.5 - 0.001 && gapMs <= MEAN_GAP_MS * 1.5 + 0.001, `${gapMs}`);
  }
  const lastMs = passed.at(-1)!.atMs;
  assert.ok(lastMs > 450 * MEAN_GAP_MS && lastMs < 550 * MEAN_GAP_MS, `${lastMs}`);
  for (const { pass } of passed) pass?.[Symbol.dispose]();
  assert.equal(gate.size, 0);
});

Deno.test("gate: so many for a registrar at once, and one that does not answer holds up nobody else's", async () => {
  const { clock, gate, passed, ask } = scene();
  for (let n = 0; n < 100; n++) ask("away");
  for (let n = 0; n < 5; n++) ask("here");
  await clock.advanceAsync(10_000);
  const count = (name: string) => passed.filter(({ registrar }) => registrar === name).length;
  assert.deepEqual([count("away"), count("here")], [MOST_AT_ONCE, 5]);
  for (const { registrar, pass } of [...passed]) if (registrar === "away") pass?.[Symbol.dispose]();
  await clock.advanceAsync(10_000);
  assert.deepEqual([count("away"), count("here")], [2 * MOST_AT_ONCE, 5]);
  assert.equal(gate.size, 2);
});

Deno.test("gate: who gives up gets nothing and leaves no gap, wherever it waited", async () => {
  const { clock, gate, passed, ask } = scene();
  const impatient = new AbortController();
  ask("a", AbortSignal.abort()); // before it came
  ask("a");
  ask("a", impatient.signal); // at the pace
  for (let n = 0; n < MOST_AT_ONCE - 2; n++) ask("a");
  ask("a", impatient.signal); // in the lane
  ask("a");
  impatient.abort();
  await clock.advanceAsync(10_000);
  assert.equal(passed.filter(({ pass }) => pass === null).length, 3);
  assert.equal(passed.filter(({ pass }) => pass !== null).length, MOST_AT_ONCE);
  for (const { pass } of passed) pass?.[Symbol.dispose]();
  assert.equal(gate.size, 0);
  assert.equal(clock.pending, 0);
});
