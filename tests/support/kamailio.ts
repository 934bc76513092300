// Starts a real Kamailio on a free loopback port, with the configuration beside the peer tests or another one.
// In ours every user's password is "<user>-secret"; calls of the user "sipp" are not challenged.

import { freePort } from "./free_port.ts";

export interface RunningKamailio extends AsyncDisposable {
  readonly port: number;
  /** What it printed so far, for a failing test's message. */
  output(): string;
}

export interface KamailioOptions {
  /** Its configuration; absent: the one beside the peer tests. */
  readonly config?: string;
  /** The loopback address it listens at; absent: 127.0.0.1. */
  readonly hostname?: string;
  /** Its port; absent: a free one. */
  readonly port?: number;
  /** What the configuration takes from the command line, besides SIP_PORT. */
  readonly defines?: Readonly<Record<string, string>>;
}

const CONFIG = new URL("../peers/config/kamailio.cfg", import.meta.url).pathname;

export async function startKamailio(options: KamailioOptions = {}): Promise<RunningKamailio> {
  const { config = CONFIG, hostname = "127.0.0.1", defines = {} } = options;
  const port = options.port ?? freePort(hostname);
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-kamailio-" });
  const given = Object.entries({ SIP_PORT: `${port}`, ...defines }).flatMap((pair) => ["-A", pair.join("=")]);
  const args = ["-DD", "-E", "-f", config, ...given, "-Y", folder, "-w", folder];
  const process = new Deno.Command("kamailio", {
    args: [...args, "-P", `${folder}/pid`, "-m", "64", "-M", "8"],
    stdout: "null",
    stderr: "piped",
    stdin: "null",
  }).spawn();
  let text = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of process.stderr) text = (text + decoder.decode(chunk)).slice(-20_000);
  })();
  await waitForTcp({ hostname, port }, () => text);
  return {
    port,
    output: () => text,
    async [Symbol.asyncDispose]() {
      process.kill("SIGTERM");
      await process.status;
      await reading;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function waitForTcp(at: { hostname: string; port: number }, output: () => string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      (await Deno.connect(at)).close();
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error(`Kamailio did not start:\n${output()}`);
}
