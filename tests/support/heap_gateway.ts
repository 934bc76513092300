// A gateway in a process of its own that tells how much memory is in use: `deno run -A --v8-flags=--expose-gc`.
// Prints its RTMP port, and for each line it reads the bytes in use after all garbage is gone.

import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { Gateway } from "../../lib/gateway/gateway.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { denoSockets } from "../../lib/net/sockets.ts";

const { gc } = globalThis as unknown as { gc: () => void };
const environment = {
  clock: systemClock,
  log: silentLog,
  random: systemRandom,
  dns: systemDns,
  sockets: denoSockets,
};
const config = buildConfig({
  flags: {
    "host": "127.0.0.1",
    "port": "0",
    "int-ip": "127.0.0.1",
    "sip-port": "0",
    "max-connections-per-address": "0",
    "max-calls-per-address": "0",
  },
});
const gateway = await Gateway.start(config, environment);
const say = (value: unknown): void => void Deno.stdout.writeSync(new TextEncoder().encode(`${value}\n`));

say(gateway.rtmp.port);
for await (const _line of Deno.stdin.readable) {
  gc();
  await new Promise((resolve) => setTimeout(resolve, 20));
  gc();
  const { heapUsed, external } = Deno.memoryUsage();
  say(heapUsed + external);
}
await gateway[Symbol.asyncDispose]();
