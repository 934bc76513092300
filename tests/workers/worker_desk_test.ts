import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { TransportError } from "../../lib/base/errors.ts";
import type { DialogRecord } from "../../lib/sip/ua/neighbours.ts";
import type { Opening } from "../../lib/workers/messages.ts";
import { type TeamOrLog, WorkerDesk } from "../../lib/workers/worker_desk.ts";
import { script } from "../support/workers_script.ts";
import { until } from "../support/workers_house.ts";

const OPENING: Omit<Opening, "orphans" | "files"> = {
  type: "open",
  sources: {},
  seat: { index: 3, count: 4, rtmpPort: 1935, sipPort: 5063, sipFallback: false },
  memory: new SharedArrayBuffer(8),
  secret: "s",
  places: [],
  residents: [],
  addresses: [],
};

/** Says how many orphans it was given by its port; does as told by the secret. */
const OBEDIENT = `
onmessage = ({ data }) => {
  if (data.type === "open" && data.secret === "fail") {
    return postMessage({ type: "failed", error: { kind: "addr-in-use", message: "port 5063 is taken" } });
  }
  if (data.type === "open" && data.secret === "die") throw new Error("it was told to");
  if (data.type === "open") {
    postMessage({ type: "left", line: "3.x" });
    postMessage({ type: "opened", place: { worker: 3, sipPort: 6000 + data.orphans.length, home: null } });
  }
  if (data.type === "stop") postMessage({ type: "stopped" });
};
postMessage({ type: "loaded" });`;

function desk(text: string) {
  const [messages, deaths]: [TeamOrLog[], string[]] = [[], []];
  const worker = new WorkerDesk({
    index: 3,
    entry: script(text),
    pulse: () => 0,
    clock: systemClock,
    onMessage: (message) => messages.push(message),
    onDeath: (reason) => deaths.push(reason),
  });
  return { worker, messages, deaths };
}

Deno.test("desk: loads, opens, stops; what is not an answer goes to the supervisor", async () => {
  const { worker, messages } = desk(OBEDIENT);
  assert.equal(worker.occupied, false);
  await worker.load();
  worker.orphans = [{ id: "a" }, { id: "b" }] as unknown as DialogRecord[];
  assert.equal((await worker.open(OPENING)).sipPort, 6002);
  assert.deepEqual([worker.place?.sipPort, worker.orphans], [6002, []]);
  assert.deepEqual(messages, [{ type: "left", line: "3.x" }]);
  await worker.ask({ type: "stop" }, "stopped");
  worker.terminate("done");
  assert.equal(worker.occupied, false);
  await assert.rejects(worker.ask({ type: "stop" }, "stopped"), /it is not there/);
});

Deno.test("desk: what is in the way of opening is thrown as it was, and the orphans are kept", async () => {
  const { worker, deaths } = desk(OBEDIENT);
  await worker.load();
  worker.orphans = [{ id: "a" }] as unknown as DialogRecord[];
  await assert.rejects(worker.open({ ...OPENING, secret: "fail" }), (error) => {
    assert.ok(error instanceof TransportError);
    assert.deepEqual([error.code, error.message], ["addr-in-use", "port 5063 is taken"]);
    return true;
  });
  assert.equal(worker.orphans.length, 1);
  worker.terminate("done");
  assert.deepEqual(deaths, []);
});

Deno.test("desk: a thread that dies fails what was asked of it, and another one may come", async () => {
  const { worker, deaths } = desk(OBEDIENT);
  await worker.load();
  await assert.rejects(worker.open({ ...OPENING, secret: "die" }), /it was told to/);
  await until("its death", () => deaths.length === 1);
  assert.equal(worker.occupied, false);
  await worker.load();
  assert.equal((await worker.open(OPENING)).sipPort, 6000);
  worker.terminate("done");
});
