// A real baresip on loopback as a process: its folder, its port, what it prints, its end.
// Role: edge

import { freePort } from "./free_port.ts";

/** What baresip is started with. */
export interface BaresipProcessOptions {
  /** Writes what it needs into its folder, and gives the lines of its configuration. */
  readonly prepare: (folder: string) => Promise<readonly string[]>;
  /** Parameters of its account, ";audio_codecs=pcmu". */
  readonly account: string;
  /** It ends by itself after so long. */
  readonly lifeSeconds: number;
  /** Commands given at once, "/dial sip:bob@127.0.0.1:5060". */
  readonly commands: readonly string[];
}

/** A baresip that runs. */
export interface BaresipProcess extends AsyncDisposable {
  /** Its SIP port. */
  readonly port: number;
  /** Where its files are. */
  readonly folder: string;
  /** What it printed so far. */
  output(): string;
  /** Lets it quit: it hangs up. */
  quit(): Promise<void>;
  /** Waits until it has printed something. */
  printed(pattern: RegExp): Promise<void>;
}

const MODULES = "/usr/lib/baresip/modules";
const KEPT_OUTPUT = 50_000;

/** Starts it, and waits until it is ready. It answers every call by itself. */
export async function startBaresipProcess(options: BaresipProcessOptions): Promise<BaresipProcess> {
  const port = freePortPair();
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-baresip-" });
  const config = [
    `sip_listen 127.0.0.1:${port}`,
    `module_path ${MODULES}`,
    ...await options.prepare(folder),
    "module_app menu.so",
  ];
  await Deno.writeTextFile(`${folder}/config`, config.join("\n") + "\n");
  const account = `<sip:bare@127.0.0.1>;regint=0;answermode=auto${options.account}\n`;
  await Deno.writeTextFile(`${folder}/accounts`, account);
  await Deno.writeTextFile(`${folder}/contacts`, "");
  const commands = options.commands.flatMap((command) => ["-e", command]);
  const process = new Deno.Command("baresip", {
    args: ["-n", "127.0.0.1", "-f", folder, "-t", `${options.lifeSeconds}`, ...commands],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let text = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) text = (text + decoder.decode(chunk)).slice(-KEPT_OUTPUT);
  };
  const reading = Promise.all([read(process.stdout), read(process.stderr)]);
  const printed = async (pattern: RegExp): Promise<void> => {
    for (let tries = 0; tries < 200; tries++) {
      if (pattern.test(text)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`baresip did not print ${pattern}:\n${text}`);
  };
  const quit = async (): Promise<void> => {
    try {
      process.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
    await process.status;
    await reading;
  };
  await printed(/baresip is ready/);
  return {
    port,
    folder,
    output: () => text,
    printed,
    quit,
    async [Symbol.asyncDispose]() {
      await quit();
      await Deno.remove(folder, { recursive: true });
    },
  };
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
