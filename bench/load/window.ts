// A measured window: CPU, memory and waiting of the target and of the load end between two moments.
// Role: edge

import { type ProcessSample, sampleProcess } from "../process.ts";
import type { Histogram } from "./histogram.ts";
import type { WindowResult } from "./protocol.ts";

/** Begins now; what it returns ends it and says what was. `lag` counts from before, because packets do, too. */
export function openWindow(pid: number, lag: Histogram): () => WindowResult {
  const before = { target: sampleProcess(pid), load: sampleProcess("self") };
  const startMs = performance.now();
  return () => {
    const seconds = (performance.now() - startMs) / 1000;
    const after = { target: sampleProcess(pid), load: sampleProcess("self") };
    return {
      seconds,
      cpuMs: grown(before.target, after.target, "cpuMs"),
      waitMs: grown(before.target, after.target, "waitMs"),
      rssKiB: after.target?.rssKiB ?? null,
      loadCpuMs: grown(before.load, after.load, "cpuMs"),
      loadWaitMs: grown(before.load, after.load, "waitMs"),
      lag: lag.toJSON(),
    };
  };
}

function grown(before: ProcessSample | null, after: ProcessSample | null, name: "cpuMs" | "waitMs") {
  return before === null || after === null ? null : after[name] - before[name];
}

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until it is time for number `i` of a series that began at `startMs`. */
export async function paced(i: number, perSecond: number, startMs: number): Promise<void> {
  const waitMs = startMs + i * 1000 / perSecond - performance.now();
  if (waitMs > 0) await pause(waitMs);
}

/** Counts reasons, and tells them. */
export class Failures {
  readonly #counts = new Map<string, number>();

  /** One more. */
  note(error: unknown): void {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#counts.set(text, (this.#counts.get(text) ?? 0) + 1);
  }

  /** "3 times Error: ...". */
  get texts(): string[] {
    return [...this.#counts].map(([text, count]) => `${count} times ${text}`);
  }
}
