// Runs a real baresip as a SIP phone, steered over its control connection and its console. It speaks a tone
// and keeps what it hears in a file. Start it inside a network namespace (netns.ts): it tells its peers the
// address of an interface.

import { NAMESPACE_INTERFACE } from "./netns.ts";
import { decodeWav, encodeWav } from "./tone.ts";

export interface BaresipOptions {
  /** What it speaks: samples of 8 kHz. */
  readonly speaks: Int16Array;
  /** "pcmu,pcma" */
  readonly codecs: string;
  /** Where it takes SIP, as in a URI: "10.77.0.1:5070", "[fd77::1]:5070". */
  readonly listen: string;
}

/** What happened to a call, as baresip reports it. */
export interface PhoneEvent {
  readonly type: string;
  readonly param?: string;
  readonly "rtcp_stats"?: RtcpStats;
}

export interface RtcpStats {
  readonly tx: { readonly sent: number; readonly lost: number };
  readonly rx: { readonly sent: number; readonly lost: number };
}

const CONTROL_PORT = 4444;
const CONSOLE_PORT = 5555;
const PATIENCE_MS = 15_000;

function configOf(folder: string, options: BaresipOptions): string {
  const lines = [
    `sip_listen ${options.listen}`,
    `prefer_ipv6 ${options.listen.startsWith("[") ? "yes" : "no"}`,
    `net_interface ${NAMESPACE_INTERFACE}`,
    `audio_source aufile,${folder}/speaks.wav`,
    "audio_player nothing,nothing",
    "rtp_ports 41000-41100",
    "rtp_timeout 0",
    "jitter_buffer_delay 0-20",
    `snd_path ${folder}`,
    "module_path /usr/lib/baresip/modules",
    ...["g711", "aufile", "sndfile", "cons"].map((name) => `module ${name}.so`),
    "module_tmp account.so",
    ...["menu", "ctrl_tcp"].map((name) => `module_app ${name}.so`),
    `ctrl_tcp_listen 127.0.0.1:${CONTROL_PORT}`,
    `cons_listen 127.0.0.1:${CONSOLE_PORT}`,
  ];
  return lines.join("\n") + "\n";
}

export class Baresip implements AsyncDisposable {
  readonly uri: string;
  readonly #folder: string;
  readonly #process: Deno.ChildProcess;
  readonly #control: Deno.TcpConn;
  readonly #reading: Promise<unknown>;
  readonly #events: PhoneEvent[];
  readonly #woken: { wake: () => void };
  readonly #output: { text: string };

  static async start(options: BaresipOptions): Promise<Baresip> {
    const folder = await Deno.makeTempDir({ prefix: "siprtmp-baresip-" });
    await Deno.writeFile(`${folder}/speaks.wav`, encodeWav(options.speaks, 8000));
    await Deno.writeTextFile(`${folder}/config`, configOf(folder, options));
    const uri = `sip:phone@${options.listen}`;
    await Deno.writeTextFile(
      `${folder}/accounts`,
      `"Phone" <${uri}>;regint=0;answermode=auto;audio_codecs=${options.codecs}\n`,
    );
    const process = new Deno.Command("baresip", {
      args: ["-f", folder, "-v"],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const output = { text: "" };
    const reading = Promise.all([process.stdout, process.stderr].map((pipe) => gather(pipe, output)));
    try {
      const control = await connect(CONTROL_PORT);
      return new Baresip({ uri, folder, process, control, output, reading });
    } catch (error) {
      process.kill("SIGKILL");
      await reading;
      throw new Error(`baresip did not start:\n${output.text}`, { cause: error });
    }
  }

  private constructor(
    parts: {
      uri: string;
      folder: string;
      process: Deno.ChildProcess;
      control: Deno.TcpConn;
      output: { text: string };
      reading: Promise<unknown>;
    },
  ) {
    this.uri = parts.uri;
    this.#folder = parts.folder;
    this.#process = parts.process;
    this.#control = parts.control;
    this.#output = parts.output;
    this.#events = [];
    this.#woken = { wake: () => {} };
    this.#reading = Promise.all([parts.reading, this.#readEvents()]);
  }

  /** All it printed: its log. */
  get output(): string {
    return this.#output.text;
  }

  /** Gives a command of its menu: "dial sip:...", "hangup", "hold", "resume". */
  async command(name: string, params = ""): Promise<void> {
    const json = new TextEncoder().encode(JSON.stringify({ command: name, params, token: name }));
    const header = new TextEncoder().encode(`${json.length}:`);
    await writeAll(this.#control, new Uint8Array([...header, ...json, 0x2c]));
  }

  /** Presses keys of the dial pad in a call, one at a time. */
  async press(keys: string): Promise<void> {
    using pad = await connect(CONSOLE_PORT);
    for (const key of keys) {
      await writeAll(pad, new TextEncoder().encode(key));
      await new Promise((resolve) => setTimeout(resolve, 200));
      await writeAll(pad, new Uint8Array([4])); // released
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Waits until RTCP went both ways: packets sent and lost, `rx` from us by its count, `tx` by our report. */
  async rtcpReport(): Promise<RtcpStats> {
    for (;;) {
      const { "rtcp_stats": stats } = await this.expect("CALL_RTCP");
      if (stats !== undefined && stats.tx.sent > 0 && stats.rx.sent > 0) return stats;
    }
  }

  /** Waits for an event of this type; those before it are forgotten. */
  async expect(type: string): Promise<PhoneEvent> {
    const skipped: string[] = [];
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const event = this.#events.shift();
      if (event?.type === type) return event;
      if (event !== undefined) skipped.push(event.type);
      else if (performance.now() > deadline) break;
      else await this.#wake(200);
    }
    throw new Error(
      `baresip told no ${type}, only: ${skipped.join(", ") || "nothing"}\n${this.output.slice(-3000)}`,
    );
  }

  /** What it heard in its calls, in the order of the calls: the files are whole once the calls are over. */
  async heard(): Promise<Int16Array[]> {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(this.#folder)) {
      if (/^dump-.*-dec\w*\.wav$/.test(name)) names.push(name);
    }
    return await Promise.all(
      names.sort().map(async (name) => {
        const { sampleRate, samples } = decodeWav(await Deno.readFile(`${this.#folder}/${name}`));
        if (sampleRate !== 8000) throw new Error(`${name} has ${sampleRate} samples per second`);
        return samples;
      }),
    );
  }

  #wake(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#woken.wake = () => (clearTimeout(timer), resolve());
    });
  }

  async #readEvents(): Promise<void> {
    let text = "";
    const decoder = new TextDecoder("latin1");
    try {
      for await (const piece of this.#control.readable) {
        text = this.#takeEvents(text + decoder.decode(piece));
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.ConnectionReset)) {
        throw error;
      }
    }
  }

  /** Netstrings, "12:{...}," in a row; gives what is left of an unfinished one. */
  #takeEvents(text: string): string {
    for (;;) {
      const colon = text.indexOf(":");
      const size = Number(text.slice(0, colon));
      if (colon < 0 || text.length < colon + 1 + size + 1) return text;
      const message = JSON.parse(text.slice(colon + 1, colon + 1 + size));
      if (message.event === true) this.#events.push(message);
      text = text.slice(colon + 1 + size + 1);
      this.#woken.wake();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 3000);
    await this.#process.status;
    clearTimeout(timer);
    await this.#reading;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function gather(pipe: ReadableStream<Uint8Array>, into: { text: string }): Promise<void> {
  const decoder = new TextDecoder();
  for await (const piece of pipe) into.text = (into.text + decoder.decode(piece)).slice(-50_000);
}

async function connect(port: number): Promise<Deno.TcpConn> {
  for (let tries = 0;; tries++) {
    try {
      return await Deno.connect({ hostname: "127.0.0.1", port });
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused) || tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function writeAll(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}
