// A gateway on free loopback ports, with a log that can be read when a test fails.

import { systemClock } from "../../lib/base/clock.ts";
import { openLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { loadCodecs, readModule } from "../../lib/codecs/load.ts";
import { builtInCodecs, type CodecRegistry } from "../../lib/codecs/registry.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { Gateway, type GatewayEnvironment } from "../../lib/gateway/gateway.ts";
import type { SettingName } from "../../lib/config/settings.ts";
import { startExecutable, testProgram } from "./program_gateway.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { openSockets, type SocketKind } from "../../lib/net/sockets.ts";

/** The tests run with the sockets that most users have; SIPRTMP_SOCKETS=linux runs them with the others. */
export const testSockets: SocketKind = Deno.env.get("SIPRTMP_SOCKETS") === "linux" ? "linux" : "deno";

export interface TestGateway extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly environment: GatewayEnvironment;
  /** RTMP URL of a user, with any domain. */
  url(address: string): string;
  /** The log so far, at debug level. */
  lines(): string;
}

export async function startGateway(
  flags: Partial<Record<SettingName, string | boolean>> = {},
  /** A configuration file, as TOML. */
  file?: string,
  registry: CodecRegistry = builtInCodecs,
): Promise<TestGateway> {
  const written: string[] = [];
  const { log, close } = openLog({ verbosity: "debug", write: (line) => void written.push(line) });
  const sockets = openSockets(testSockets);
  const environment = {
    clock: systemClock,
    log,
    random: systemRandom,
    dns: systemDns,
    sockets,
    codecs: await loadCodecs(readModule, registry),
  };
  const all = { host: "127.0.0.1", port: "0", "int-ip": "127.0.0.1", "sip-port": "0", ...flags };
  if (testProgram !== undefined && registry === builtInCodecs) {
    const running = await startExecutable([testProgram], all, file);
    // Tests that ask it for more than it can tell are for the source alone, and fail loudly here.
    const gateway = running.gateway as Gateway;
    return { ...running, gateway, environment, url: (address) => urlOf(gateway, address) };
  }
  const config = buildConfig({
    flags: all,
    ...(file === undefined ? {} : { file: { name: "test.toml", text: file } }),
  });
  const gateway = await Gateway.start(config, environment);
  return {
    gateway,
    environment,
    url: (address) => urlOf(gateway, address),
    lines: () => written.join("\n"),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      sockets[Symbol.dispose]();
      await close();
    },
  };
}

function urlOf(gateway: Pick<Gateway, "rtmp">, address: string): string {
  return `rtmp://127.0.0.1:${gateway.rtmp.port}/sip/${address}`;
}
