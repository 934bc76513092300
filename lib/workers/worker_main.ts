// The first file of a worker: joins the messages of its thread to a WorkerGateway. The supervisor names it by URL, so
// a compiled program has to include it: deno compile --include lib/workers/worker_main.ts.
// Deno permissions: those of the program.
// Role: edge

import { parentPort } from "node:worker_threads";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { loadCodecs } from "../codecs/load.ts";
import { systemDns } from "../net/dns.ts";
import type { ToWorker } from "./messages.ts";
import { WorkerGateway } from "./worker_gateway.ts";

const supervisor = parentPort;
if (supervisor === null) throw new Error("this is the first file of a worker, not of a program");

const environment = { clock: systemClock, random: systemRandom, dns: systemDns, loadCodecs };
const worker = new WorkerGateway(environment, (message) => supervisor.postMessage(message));

supervisor.on("message", (message: ToWorker) => worker.take(message));
globalThis.addEventListener("error", (event) => {
  if (worker.uncaught(event.error)) event.preventDefault();
});
globalThis.addEventListener("unhandledrejection", (event) => {
  if (worker.uncaught(event.reason)) event.preventDefault();
});
