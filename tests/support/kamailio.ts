// Starts a real Kamailio on a free loopback port, with the configuration beside the peer tests.
// Every user's password is "<user>-secret"; calls of the user "sipp" are not challenged.

import { freePort } from "./free_port.ts";

export interface RunningKamailio extends AsyncDisposable {
  readonly port: number;
  /** What it printed so far, for a failing test's message. */
  output(): string;
}

const CONFIG = new URL("../peers/config/kamailio.cfg", import.meta.url).pathname;

export async function startKamailio(): Promise<RunningKamailio> {
  const port = freePort();
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-kamailio-" });
  const args = ["-DD", "-E", "-f", CONFIG, "-A", `SIP_PORT=${port}`, "-Y", folder, "-w", folder];
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
  await waitForTcp(port, () => text);
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

async function waitForTcp(port: number, output: () => string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error(`Kamailio did not start:\n${output()}`);
}
