// The first file of a worker, in a thread.

import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import type { FromWorker } from "../../lib/workers/messages.ts";
import { unchecked } from "../support/workers_script.ts";
import { until } from "../support/workers_house.ts";

Deno.test("worker main: says that it is there, takes messages, and tells what is wrong with them", async () => {
  const worker = new Worker(unchecked("lib/workers/worker_main.ts"));
  const posted: FromWorker[] = [];
  worker.on("message", (message: FromWorker) => void posted.push(message));
  await until("loaded", () => posted.length === 1);
  worker.postMessage({
    type: "open",
    sources: { flags: { port: "wrong" } },
    slot: { index: 0, count: 1, rtmpPort: 0, sipPort: 0, sipFallback: false },
  });
  await until("failed", () => posted.length === 2);
  worker.postMessage({ type: "stop" });
  await until("stopped", () => posted.length === 3);
  await worker.terminate();
  assert.deepEqual(posted, [
    { type: "loaded" },
    {
      type: "failed",
      error: { kind: "config", message: '--port must be a whole number from 0 to 65535, not "wrong"' },
    },
    { type: "stopped" },
  ]);
});
