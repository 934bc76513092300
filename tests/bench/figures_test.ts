// What slices come to, whose fault a bad row is, and what the short form makes of it.

import assert from "node:assert/strict";
import { judged, LIMITS, targetFigures, verdictOf } from "../../bench/control/figures.ts";
import type { SweepRow } from "../../bench/control/sweep.ts";
import { memoryPerCall } from "../../bench/control/sweep_tables.ts";
import { Histogram } from "../../bench/load/histogram.ts";
import type { RunResult, StreamResult } from "../../bench/load/protocol.ts";
import { flatness, largestHealthy } from "../../bench/scenarios/calls.ts";
import { judgeShort, SHORT_LIMITS } from "../../bench/scenarios/short.ts";

function histogram(us: number) {
  const one = new Histogram();
  one.record(us);
  return one.toJSON();
}

function stream(changes: Partial<StreamResult> = {}): StreamResult {
  const sent = { sentUp: 1000, receivedUp: 1000, sentDown: 1000, receivedDown: 1000, blocked: 0 };
  return { ...sent, up: histogram(500), down: histogram(500), ...changes };
}

function run(changes: Partial<RunResult> = {}): RunResult {
  return {
    ...{ calls: 100, seconds: 5, cpuMs: 500, waitMs: 0, rssKiB: 100_000, loadCpuMs: 300, loadWaitMs: 0 },
    ...{
      silent: 0,
      loadDrops: 0,
      targetDrops: 0,
      lag: histogram(100),
      ioLag: histogram(100),
      audio: stream(),
    },
    video: stream({ sentUp: 0, receivedUp: 0, sentDown: 0, receivedDown: 0 }),
    ...changes,
  };
}

const LOAD = {
  lag: { count: 1, p50Ms: 0, p99Ms: 1, maxMs: 1 },
  ioLag: { count: 1, p50Ms: 0, p99Ms: 1, maxMs: 1 },
  cpuOfCore: 0.3,
  waited: 0,
  drops: 0,
  blocked: 0,
};

function row(
  wanted: number,
  changes: Partial<SweepRow> & { cost?: number; runs?: RunResult[] } = {},
): SweepRow {
  const { cost, runs = [run({ calls: wanted })], ...more } = changes;
  const gateway = { ...targetFigures(runs), ...(cost === undefined ? {} : { cost }) };
  const times = { count: 1, p50Ms: 1, p99Ms: 2, maxMs: 2 };
  return {
    ...{ wanted, established: wanted, failures: [], setUp: times, connect: times, gateway, relay: null },
    ...{ ratio: 1.2, ratios: [1.2], gc: { count: 0, maxMs: 0, totalMs: 0 }, load: LOAD, gatewayDrops: 0 },
    verdict: "healthy",
    ...more,
  };
}

Deno.test("CPU per call-second is the median of the slices", () => {
  const figures = targetFigures([run({ cpuMs: 500 }), run({ cpuMs: 5000 }), run({ cpuMs: 550 })]);
  assert.equal(figures.cost, 550 / 100 / 5);
  assert.equal(figures.cpuOfCore?.toFixed(3), "0.110");
});

Deno.test("packets and latencies of all slices are put together", () => {
  const { audio, video } = targetFigures([
    run({ audio: stream({ receivedUp: 999 }) }),
    run({ audio: stream({ up: histogram(30_000) }) }),
  ]);
  assert.equal(audio.lossUp, 0.0005);
  assert.equal(audio.lossDown, 0);
  assert.equal(audio.up.maxMs, 30);
  assert.equal(video, null);
});

Deno.test("where the system tells no CPU, none is claimed", () => {
  assert.equal(targetFigures([run({ cpuMs: null })]).cost, null);
});

Deno.test("whose fault a row is", () => {
  const judge = (changes: Partial<RunResult>, load: Partial<typeof LOAD> = {}, established = 100) =>
    verdictOf({
      wanted: 100,
      established,
      gateway: targetFigures([run(changes)]),
      load: { ...LOAD, ...load },
    });
  const lossy = { audio: stream({ receivedDown: 998 }) };
  const late = { audio: stream({ down: histogram(LIMITS.p99Ms * 1000 + 5000) }) };
  assert.equal(judge({}), "healthy");
  assert.equal(judge({}, {}, 99), "calls");
  assert.equal(judge({ silent: 1 }), "calls");
  assert.equal(judge(lossy), "gateway");
  assert.equal(judge(late), "gateway");
  assert.equal(judge({ video: stream({ receivedUp: 900 }) }), "gateway");
  assert.equal(judge({ ...lossy, waitMs: 1000 }), "machine");
  assert.equal(judge(lossy, { waited: 0.5 }), "machine");
  assert.equal(judge(lossy, { drops: 2 }), "load end");
  assert.equal(judge(late, { lag: { ...LOAD.lag, p99Ms: 50 } }), "load end");
  assert.equal(judge(late, { ioLag: { ...LOAD.lag, p99Ms: 50 } }), "load end");
});

Deno.test("a target missed on a disturbed machine is not judged, one reached is reached", () => {
  assert.deepEqual([judged(true, 0.5), judged(false, 0.5), judged(false, 0), judged(true, 0)], [
    true,
    null,
    false,
    true,
  ]);
});

Deno.test("the most healthy calls, and how the cost of one grew until there", () => {
  const rows = [
    row(10, { cost: 3 }),
    row(50, { cost: 2 }),
    row(500, { cost: 2.2 }),
    row(625, { verdict: "gateway" }),
  ];
  assert.equal(largestHealthy(rows)?.wanted, 500);
  assert.equal(flatness(rows)?.toFixed(3), "1.100");
  assert.equal(flatness(rows.slice(0, 2)), null);
});

Deno.test("memory per call is what each further call takes; few calls are left out", () => {
  const of = (calls: number, rssKiB: number) => row(calls, { runs: [run({ calls, rssKiB })] });
  assert.equal(memoryPerCall([of(10, 1), of(100, 106_000), of(200, 112_000)]), 60);
  assert.equal(memoryPerCall([of(10, 1), of(100, 106_000)]), null);
});

Deno.test("the short form finds nothing wrong with good rows, in either order", () => {
  const rows = [row(150, { cost: 1.1 }), row(50, { cost: 1 }), row(10, { cost: 9, ratio: 9 })];
  assert.deepEqual(judgeShort(rows), []);
  assert.deepEqual(judgeShort(rows.toReversed()), []);
});

Deno.test("the short form says in words what is wrong", () => {
  const dear = row(150, { ratio: SHORT_LIMITS.ratio + 0.1, ratios: [1.7, 1.8] });
  assert.match(judgeShort([dear]).join(), /150 calls cost 1\.45 times the CPU of the bare relay/);
  const growing = [row(50, { cost: 1 }), row(150, { cost: 1.5 })];
  assert.match(judgeShort(growing).join(), /1\.50 times as much CPU among 150 as among 50/);
  const lossy = row(50, { runs: [run({ audio: stream({ receivedUp: 990 }) })] });
  assert.match(judgeShort([lossy]).join(), /50 calls lose 1\.00 % of their packets/);
  assert.match(
    judgeShort([row(50, { established: 49, failures: ["1 times x"] })]).join(),
    /49 of 50 calls came up: 1/,
  );
  assert.match(judgeShort([row(50, { runs: [run({ silent: 2 })] })]).join(), /2 heard nothing/);
});

Deno.test("loss counts only while gateway and load end had their cores", () => {
  const disturbed = run({ audio: stream({ receivedUp: 990 }), waitMs: 1000 });
  assert.deepEqual(judgeShort([row(50, { runs: [disturbed] })]), []);
});
