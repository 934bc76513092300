// Captures what passes on loopback with a real tshark, and asks it afterwards what it saw.
// Meant for the inside of a network namespace (netns.ts), where nobody else's packets are.

export interface CaptureOptions {
  /** Ports of SIP, and TCP ports of RTMP. */
  readonly sipPorts: readonly number[];
  readonly rtmpPort: number;
  /** Both ends included; the last one must not be in use: it is knocked at to see whether tshark listens. */
  readonly rtpPorts: { readonly min: number; readonly max: number };
}

const PATIENCE_MS = 20_000;

export class Capture implements AsyncDisposable {
  readonly #folder: string;
  readonly #process: Deno.ChildProcess;
  readonly #decodeAs: readonly string[];
  readonly #said: { text: string };
  readonly #reading: Promise<unknown>;

  /** Starts to capture; when this returns, no packet is missed any more. */
  static async start(options: CaptureOptions): Promise<Capture> {
    const { sipPorts, rtmpPort, rtpPorts } = options;
    const folder = await Deno.makeTempDir({ prefix: "siprtmp-tshark-" });
    const ports = [rtmpPort, ...sipPorts].map((port) => `port ${port}`);
    const filter = [...ports, `udp portrange ${rtpPorts.min}-${rtpPorts.max}`].join(" or ");
    const process = new Deno.Command("tshark", {
      args: ["-i", "lo", "-f", filter, "-w", `${folder}/capture`, "-P", "-l", "-n"],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const decodeAs = [
      ...sipPorts.flatMap((port) => [`udp.port==${port},sip`, `tcp.port==${port},sip`]),
      `tcp.port==${rtmpPort},rtmpt`,
    ];
    const capture = new Capture(folder, process, decodeAs.flatMap((rule) => ["-d", rule]));
    try {
      await capture.#knock(rtpPorts.max);
    } catch (error) {
      await capture[Symbol.asyncDispose]();
      throw error;
    }
    return capture;
  }

  private constructor(folder: string, process: Deno.ChildProcess, decodeAs: readonly string[]) {
    this.#folder = folder;
    this.#process = process;
    this.#decodeAs = decodeAs;
    this.#said = { text: "" };
    this.#reading = Promise.all([process.stdout, process.stderr].map((pipe) => this.#gather(pipe)));
  }

  /** Ends the capture. */
  async stop(): Promise<void> {
    this.#process.kill("SIGINT");
    await this.#process.status;
    await this.#reading;
  }

  /** The values of these fields in every packet that the display filter lets through. */
  async ask(filter: string, fields: readonly string[]): Promise<Record<string, string>[]> {
    const wanted = fields.flatMap((field) => ["-e", field]);
    const format = ["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=|"];
    const { code, stdout, stderr } = await new Deno.Command("tshark", {
      args: ["-n", "-r", `${this.#folder}/capture`, ...this.#decodeAs, "-Y", filter, ...format, ...wanted],
      stdin: "null",
    }).output();
    if (code !== 0) throw new Error(`tshark -Y "${filter}": ${new TextDecoder().decode(stderr)}`);
    const lines = new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
    return lines.map((line) => {
      const values = line.split("\t");
      return Object.fromEntries(fields.map((field, i) => [field, values[i] ?? ""]));
    });
  }

  /** Sends to a port nobody has until tshark shows it. */
  async #knock(port: number): Promise<void> {
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    const deadline = performance.now() + PATIENCE_MS;
    try {
      while (!this.#said.text.includes(`→ ${port}`)) {
        if (performance.now() > deadline) throw new Error(`tshark does not listen:\n${this.#said.text}`);
        await socket.send(Uint8Array.of(0), { transport: "udp", hostname: "127.0.0.1", port });
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    } finally {
      socket.close();
    }
  }

  async #gather(pipe: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const piece of pipe) {
      this.#said.text = (this.#said.text + decoder.decode(piece, { stream: true })).slice(-20_000);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // stopped already
    }
    await this.#process.status;
    await this.#reading;
    await Deno.remove(this.#folder, { recursive: true });
  }
}
