// From the start of the process to its line that it listens, as a user starts it: the program checked before, the
// codec modules built.
// Role: edge

import { median } from "../control/ratios.ts";
import { startGateway } from "../control/subjects.ts";
import { decimal } from "../control/tables.ts";
import type { Bench, Findings } from "./scenario.ts";

const STARTS = 7;
const MAX_MS = 400;

/** See the head of the file. */
export async function measureStartUp(bench: Bench): Promise<Findings> {
  const times: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    await using gateway = await startGateway({ cpu: bench.subjectCpu });
    times.push(gateway.startMs);
  }
  const middle = median(times);
  bench.say(`  ${decimal(middle, 0)} ms`);
  return {
    tables: [{
      title: "Start to listening",
      heads: ["starts", "median", "fastest", "slowest"],
      rows: [
        [String(STARTS), middle, Math.min(...times), Math.max(...times)].map((value) =>
          typeof value === "string" ? value : `${decimal(value, 0)} ms`
        ),
      ],
    }],
    targets: [{
      text: `start to listening under ${MAX_MS} ms`,
      measured: `${decimal(middle, 0)} ms`,
      reached: middle < MAX_MS,
    }],
    data: { times },
  };
}
