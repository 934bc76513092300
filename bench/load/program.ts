// The load end as a process: requests on standard input, answers on standard output, a line each.
// Role: edge

import { linesOf } from "./lines.ts";
import { type AsyncMethods, createLoadEnd } from "./load_end.ts";
import type { LoadRequest, LoadResponse } from "./protocol.ts";

const encoder = new TextEncoder();

function say(response: LoadResponse): void {
  let rest = encoder.encode(JSON.stringify(response) + "\n");
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}

async function serve(end: AsyncMethods, { id, method, params }: LoadRequest): Promise<void> {
  try {
    const perform = end[method] as (params: unknown) => Promise<unknown>;
    say({ id, result: await perform(params) });
  } catch (error) {
    say({ id, error: error instanceof Error ? error.stack ?? error.message : String(error) });
  }
}

using end = createLoadEnd();
say({ id: 0, result: null });
for await (const line of linesOf(Deno.stdin.readable)) void serve(end, JSON.parse(line) as LoadRequest);
Deno.exit(0);
