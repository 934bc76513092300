// What the supervisor does that tests/e2e/workers_test.ts does not show: what is in the way of a start, and of a
// replacement.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { ConfigError, TransportError } from "../../lib/base/errors.ts";
import { systemRandom } from "../../lib/base/random.ts";
import type { SettingName } from "../../lib/config/settings.ts";
import { buildConfig, type ConfigSources } from "../../lib/config/config.ts";
import { RestartBackoff, Supervisor, workersOf } from "../../lib/workers/supervisor.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { RecordLog } from "../support/record_log.ts";
import { until } from "../support/workers_house.ts";
import { script, unchecked } from "../support/workers_script.ts";

const LOCAL = { host: "127.0.0.1", "int-ip": "127.0.0.1", port: "0", "sip-port": "0", workers: "2" } as const;

const ENTRY = unchecked("lib/workers/worker_main.ts");

interface Started {
  readonly log: RecordLog;
  readonly lines: string[];
  readonly starting: Promise<Supervisor>;
}

function start(flags: Partial<Record<SettingName, string>> = {}, entry = ENTRY): Started {
  const [log, lines]: [RecordLog, string[]] = [new RecordLog("debug"), []];
  const sources: ConfigSources = { flags: { ...LOCAL, ...flags } };
  const starting = Supervisor.start(buildConfig(sources), sources, {
    clock: systemClock,
    log,
    random: systemRandom,
    putLine: (line) => void lines.push(line),
    entry,
  });
  return { log, lines, starting };
}

function portOf(listener: Deno.Listener): string {
  return String((listener.addr as Deno.NetAddr).port);
}

Deno.test("supervisor: auto is a worker for each core", () => {
  assert.equal(workersOf(3), 3);
  assert.equal(workersOf("auto"), navigator.hardwareConcurrency);
});

Deno.test("supervisor: a busy RTMP port is told before any worker is started", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await assert.rejects(start({ port: portOf(taken) }).starting, (error) => {
    assert.ok(error instanceof TransportError);
    assert.match(error.message, /in use/);
    return true;
  });
});

Deno.test("supervisor: an RTP range that is too small is a wrong setting", async () => {
  await assert.rejects(start({ "rtp-ports": "20000-20002" }).starting, ConfigError);
});

Deno.test("supervisor: a SIP port that only the second worker cannot have ends the start, and all workers", async () => {
  for (let tries = 0; tries < 20; tries++) {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const base = String(Number(portOf(taken)) - 1);
    const error = await start({ "sip-port": base }).starting.then(() => assert.fail("it started"), String);
    if (error.includes(`127.0.0.1:${base}`) || error.includes(`port ${base}`)) continue; // somebody else has that one
    return assert.match(error, new RegExp(`^TransportError: TCP port ${portOf(taken)} .* is taken$`));
  }
  assert.fail("no two free ports beside each other");
});

Deno.test("supervisor: what kills a worker while it starts is told", async () => {
  await assert.rejects(start({}, script(`throw new Error("not today");`)).starting, /not today/);
});

/** Opens the first time, and dies of every later attempt; the pulse of worker 1 never comes. */
const DIES = `
onmessage = ({ data }) => {
  if (data.type === "open" && data.orphans.length > 0) throw new Error("again");
  if (data.type === "open") {
    const { index } = data.slot;
    postMessage({ type: "dialog", record: { id: "d" + index } });
    postMessage({ type: "log", lines: ["line of " + index] });
    postMessage({ type: "opened", endpoints: { worker: index, sipPort: 7000 + index, relay: null } });
    if (index === 1) setTimeout(() => { throw new Error("first"); }, 0);
  }
  if (data.type === "reload") postMessage({ type: "reloaded" });
  if (data.type === "stop") postMessage({ type: "stopped" });
};
postMessage({ type: "loaded" });`;

Deno.test("supervisor: a worker that cannot be replaced is tried again; the others serve, reload and stop", async () => {
  const { log, lines, starting } = start({}, script(DIES));
  const supervisor = await starting;
  await until("a second try", () => log.at("warn").length > 0);
  assert.match(
    log.at("error").join("\n"),
    /worker 1 crashed, 1 calls and 0 connections are lost: .*first/,
  );
  assert.match(log.at("warn").join("\n"), /worker 1 restart failed, retrying: .*again/);
  assert.deepEqual(supervisor.sipPorts, [7000, 7001]);
  assert.deepEqual(lines.sort(), ["line of 0", "line of 1"]);
  assert.deepEqual(await supervisor.calls.list(), { calls: [], more: 0, missing: [0, 1] });
  assert.match(log.at("warn").join("\n"), /calls of worker 0, 1 not listed: no answer in time/);
  await supervisor.reload();
  await supervisor[Symbol.asyncDispose]();
  assert.doesNotMatch(log.at("warn").join("\n"), /did not end in time/);
});

Deno.test("a worker is replaced at once, one that breaks down again and again ever later, up to 30 s", () => {
  const clock = new FakeClock();
  const schedule = new RestartBackoff(clock);
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    const waitMs = schedule.brokeDown();
    waits.push(waitMs);
    clock.advance(waitMs + 10);
  }
  assert.deepEqual(waits, [50, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
});

Deno.test("one that has run well for a minute begins anew", () => {
  const clock = new FakeClock();
  const schedule = new RestartBackoff(clock);
  schedule.brokeDown();
  clock.advance(1000);
  assert.equal(schedule.brokeDown(), 1000);
  clock.advance(62_000);
  assert.equal(schedule.brokeDown(), 50);
});
