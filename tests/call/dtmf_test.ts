import assert from "node:assert/strict";
import { DigitInbox, DigitRoute, type DigitSource } from "../../lib/call/dtmf.ts";
import type { DtmfMode } from "../../lib/config/setting_values.ts";
import { bodyText } from "../../lib/sip/message/body.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { RecordLog } from "../support/record_log.ts";

interface Options {
  mode?: DtmfMode;
  /** What the media take. */
  takes?: readonly ("rtp" | "inband")[];
  /** How INFOs are answered, in order; then 200. */
  statuses?: number[];
  /** How long an answer takes. */
  answerMs?: number;
}

function route({ mode = "auto", takes = [], statuses = [], answerMs = 0 }: Options) {
  const clock = new FakeClock();
  const log = new RecordLog("info");
  /** "5/100 rtp", or "@80 dtmf-relay Signal=5 Duration=100". */
  const sent: string[] = [];
  const tasks = new Set<Promise<void>>();
  let pending = 0;
  const made = new DigitRoute({
    info: async ({ type, bytes }) => {
      pending++;
      assert.equal(pending, 1, "INFOs overlap");
      const text = bodyText({ type, bytes }).trim().replace(/\r\n/g, " ");
      sent.push(`@${clock.now()} ${type.replace("application/", "")} ${text}`);
      if (answerMs > 0) await new Promise<void>((resolve) => void clock.after(answerMs, resolve));
      pending--;
      return statuses.shift() ?? 200;
    },
    media: {
      sendDigits: (digits, durationMs, way = "rtp") => {
        const taken = takes.includes(way);
        if (taken) sent.push(`${digits}/${durationMs} ${way}`);
        return taken;
      },
    },
    mode,
    clock,
    log,
    spawn: (_name, run) => {
      const task = run().finally(() => tasks.delete(task));
      tasks.add(task);
    },
  });
  const told: (string | null)[] = [];
  return {
    route: made,
    clock,
    log,
    sent,
    told,
    tasks,
    done: (problem: string | null) => void told.push(problem),
  };
}

const NO_WAY = "the remote party takes no DTMF";
const AT_ONCE: [name: string, options: Options, sent: string[], told: string | null][] = [
  ["auto: as events when they were agreed", { takes: ["rtp", "inband"] }, ["12/100 rtp"], null],
  ["rtp: never in another way", { mode: "rtp", takes: ["inband"] }, [], NO_WAY],
  ["inband: in-band although events were agreed", { mode: "inband", takes: ["rtp", "inband"] }, [
    "12/100 inband",
  ], null],
  ["inband: not in codecs that cannot carry it", { mode: "inband", takes: ["rtp"] }, [], NO_WAY],
];

for (const [name, options, sent, told] of AT_ONCE) {
  Deno.test(`DTMF, ${name}`, () => {
    const bench = route(options);
    bench.route.send("12", 100, bench.done);
    assert.deepEqual([bench.sent, bench.told, bench.tasks.size], [sent, [told], 0]);
  });
}

const BY_INFO: [name: string, options: Options, sent: string[], told: string | null][] = [
  ["auto: in INFO when no events were agreed", { takes: ["inband"] }, [
    "@0 dtmf-relay Signal=1 Duration=100",
    "@180 dtmf-relay Signal=2 Duration=100",
  ], null],
  ["info: although events were agreed", { mode: "info", takes: ["rtp", "inband"] }, [
    "@0 dtmf-relay Signal=1 Duration=100",
    "@180 dtmf-relay Signal=2 Duration=100",
  ], null],
  ["info: a slow answer delays the next key", { mode: "info", answerMs: 400 }, [
    "@0 dtmf-relay Signal=1 Duration=100",
    "@400 dtmf-relay Signal=2 Duration=100",
  ], null],
  ["info: a remote party that knows only application/dtmf", { mode: "info", statuses: [415] }, [
    "@0 dtmf-relay Signal=1 Duration=100",
    "@0 dtmf 1",
    "@180 dtmf 2",
  ], null],
  ["info: refused", { mode: "info", takes: ["inband"], statuses: [405] }, [
    "@0 dtmf-relay Signal=1 Duration=100",
  ], "405 Method Not Allowed"],
  ["auto: refused, then in-band", { takes: ["inband"], statuses: [200, 501] }, [
    "@0 dtmf-relay Signal=1 Duration=100",
    "@180 dtmf-relay Signal=2 Duration=100",
    "2/100 inband",
  ], null],
  ["auto: refused, and no sound either", { statuses: [415, 415] }, [
    "@0 dtmf-relay Signal=1 Duration=100",
    "@0 dtmf 1",
  ], `${NO_WAY}: 415 Unsupported Media Type`],
];

for (const [name, options, sent, told] of BY_INFO) {
  Deno.test(`DTMF, ${name}`, async () => {
    const bench = route(options);
    bench.route.send("12", 100, bench.done);
    await bench.clock.advanceAsync(3000);
    assert.deepEqual([bench.sent, bench.told, bench.tasks.size], [sent, [told], 0]);
  });
}

Deno.test("orders wait for each other, a refusal is remembered in auto and told once to the log", async () => {
  const bench = route({ takes: ["inband"], statuses: [200, 405] });
  bench.route.send("1", 100, bench.done);
  bench.route.send("2", 100, bench.done);
  await bench.clock.advanceAsync(3000);
  bench.route.send("3", 100, bench.done);
  assert.deepEqual(bench.sent.map((text) => text.split(" ").at(-2)), [
    "Signal=1",
    "Signal=2",
    "2/100",
    "3/100",
  ]);
  assert.deepEqual(bench.told, [null, null, null]);
  assert.equal(bench.log.lines.length, 1);
});

Deno.test("too many orders are refused, and the end of the call is told to all that wait", async () => {
  const bench = route({ mode: "info", answerMs: 100 });
  for (let i = 0; i < 18; i++) bench.route.send("1", 100, bench.done);
  assert.deepEqual(bench.told, ["too many DTMF are waiting"]);
  bench.route[Symbol.dispose]();
  assert.deepEqual(bench.told.slice(1), new Array(16).fill("the call is over"));
  await bench.clock.advanceAsync(1000);
  assert.deepEqual([bench.told.length, bench.told.at(-1), bench.tasks.size], [18, "the call is over", 0]);
  bench.route.send("1", 100, bench.done);
  assert.equal(bench.told.at(-1), "the call is over");
  assert.equal(bench.clock.pending, 0);
});

Deno.test("the call ends in the pause behind the last key: that key was sent", async () => {
  const bench = route({ mode: "info" });
  bench.route.send("1", 5000, bench.done);
  await bench.clock.advanceAsync(100);
  bench.route[Symbol.dispose]();
  await bench.clock.advanceAsync(0);
  assert.deepEqual([bench.told, bench.clock.pending], [[null], 0]);
});

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
  Deno.test(`incoming DTMF: ${name}`, () => {
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
