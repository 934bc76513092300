// The first file of a worker: joins the messages of its thread to a WorkerGateway. The supervisor names it by URL, so
// a compiled program has to include it: deno compile --include lib/workers/worker_main.ts.
// Deno permissions: those of the program.
// Role: edge
// Answers to: nothing in siprtmp.

import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { loadCodecs } from "../codecs/load.ts";
import { systemDns } from "../net/dns.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { WorkerGateway } from "./worker_gateway.ts";

/** What a worker's global scope has besides what every thread has. */
interface WorkerScope {
  postMessage(message: FromWorker): void;
  addEventListener(type: "message", listener: (event: MessageEvent<ToWorker>) => void): void;
  addEventListener(type: "error", listener: (event: ErrorEvent) => void): void;
  addEventListener(type: "unhandledrejection", listener: (event: PromiseRejectionEvent) => void): void;
}

const scope = globalThis as unknown as WorkerScope;
const environment = { clock: systemClock, random: systemRandom, dns: systemDns, loadCodecs };
const worker = new WorkerGateway(environment, (message) => scope.postMessage(message));

scope.addEventListener("message", (event) => worker.take(event.data));
scope.addEventListener("error", (event) => {
  if (worker.uncaught(event.error)) event.preventDefault();
});
scope.addEventListener("unhandledrejection", (event) => {
  if (worker.uncaught(event.reason)) event.preventDefault();
});
