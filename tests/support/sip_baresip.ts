// Runs a real baresip on loopback: answers every call by itself, or dials at once.
// Role: edge

import { freePort } from "./free_port.ts";

/** A baresip that runs. */
export interface RunningBaresip extends AsyncDisposable {
  /** Its SIP port. */
  readonly port: number;
  /** What it printed so far. */
  output(): string;
  /** Lets it quit: it hangs up. */
  quit(): Promise<void>;
  /** Waits until it has printed something. */
  printed(pattern: RegExp): Promise<void>;
}

/** baresip takes the port above its own for TLS. */
function freePortPair(): number {
  for (let tries = 0; tries < 50; tries++) {
    const port = freePort();
    try {
      Deno.listen({ hostname: "127.0.0.1", port: port + 1 }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error("no two neighbouring ports are free");
}

const MODULES = "/usr/lib/baresip/modules";

/** Starts it. @param commands executed at once, e.g. "/dial sip:bob@127.0.0.1:5060" */
export async function startBaresip(...commands: readonly string[]): Promise<RunningBaresip> {
  const port = freePortPair();
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-baresip-" });
  const config = [
    `sip_listen 127.0.0.1:${port}`,
    "audio_source aubridge,x",
    "audio_player aubridge,x",
    "audio_alert aubridge,x",
    `module_path ${MODULES}`,
    "module g711.so",
    "module aubridge.so",
    "module_app account.so",
    "module_app menu.so",
  ];
  await Deno.writeTextFile(`${folder}/config`, config.join("\n") + "\n");
  await Deno.writeTextFile(`${folder}/accounts`, "<sip:bare@127.0.0.1>;regint=0;answermode=auto\n");
  await Deno.writeTextFile(`${folder}/contacts`, "");
  const process = new Deno.Command("baresip", {
    args: ["-n", "127.0.0.1", "-f", folder, "-t", "30", ...commands.flatMap((command) => ["-e", command])],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let text = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) text = (text + decoder.decode(chunk)).slice(-20_000);
  };
  const reading = Promise.all([read(process.stdout), read(process.stderr)]);
  const printed = async (pattern: RegExp): Promise<void> => {
    for (let tries = 0; tries < 200; tries++) {
      if (pattern.test(text)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`baresip did not print ${pattern}:\n${text}`);
  };
  await printed(/baresip is ready/);
  const quit = async (): Promise<void> => {
    try {
      process.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
    await process.status;
    await reading;
  };
  return {
    port,
    output: () => text,
    printed,
    quit,
    async [Symbol.asyncDispose]() {
      await quit();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
