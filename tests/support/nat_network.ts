// Two network namespaces with a 1:1 NAT between them, as a cloud has it: a machine with a private address, which the
// world reaches at a public one it does not know of. Made inside the namespace of netns.ts, so nothing in there
// reaches the network and all ends with the test.
//
//   "inside": 10.1.0.2 ---- 10.1.0.1 NAT 203.0.113.1 ---- 203.0.113.50 "outside": the test, the phone
//                           10.1.0.2 <-> 203.0.113.7
//
// The outside has no route to 10.1.0.0/24: whoever is told an address in there cannot reach it.

import { NAMESPACE_INTERFACE, runInNamespace } from "./netns.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** What the machine behind the NAT knows of itself. */
export const INSIDE = "10.1.0.2";
/** Where the world reaches it. */
export const PUBLIC = "203.0.113.7";
/** The world. */
export const OUTSIDE = "203.0.113.50";

const SET_UP = `
set -e
shift
mount -t tmpfs tmpfs /run
ip link set lo up
ip netns add inside
ip netns add outside
ip link add in0 type veth peer name eth0 netns inside
ip link add out0 type veth peer name ${NAMESPACE_INTERFACE} netns outside
ip addr add 10.1.0.1/24 dev in0
ip addr add 203.0.113.1/24 dev out0
ip addr add ${PUBLIC}/32 dev out0
ip link set in0 up
ip link set out0 up
for name in inside outside; do ip -n $name link set lo up; done
ip -n inside addr add ${INSIDE}/24 dev eth0
ip -n inside link set eth0 up
ip -n inside route add default via 10.1.0.1
ip -n outside addr add ${OUTSIDE}/24 dev ${NAMESPACE_INTERFACE}
ip -n outside link set ${NAMESPACE_INTERFACE} up
echo 1 > /proc/sys/net/ipv4/ip_forward
if ! iptables -w -t nat -L >/dev/null 2>&1; then iptables() { iptables-legacy "$@"; }; fi
iptables -w -t nat -A PREROUTING -i out0 -d ${PUBLIC} -j DNAT --to-destination ${INSIDE}
iptables -w -t nat -A POSTROUTING -o out0 -s ${INSIDE} -j SNAT --to-source ${PUBLIC}
exec ip netns exec outside "$@"
`;

/** Runs the script outside of the NAT and gives what it printed, as JSON. */
export function runOutsideNat<Result>(
  options: { readonly script: string; readonly args: readonly string[]; readonly timeoutMs: number },
): Promise<Result> {
  return runInNamespace<Result>({ ...options, setUp: SET_UP });
}

/** `deno run` inside, with the permissions that the gateway is documented to need. @param file below the project's root */
export function startInside(file: string, args: readonly string[]): NatProgram {
  const deno = [Deno.execPath(), "run", "--quiet", "--no-prompt", "--unstable-net"];
  const permissions = ["--allow-net", "--allow-read", "--allow-sys=networkInterfaces"];
  const command = ["netns", "exec", "inside", ...deno, ...permissions, `${ROOT}${file}`, ...args];
  return new NatProgram("ip", command);
}

/** A program on either side; for scripts that runOutsideNat runs. */
export class NatProgram implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  #output = "";

  /** Starts it where the script is: outside. */
  constructor(command: string, args: readonly string[]) {
    this.#process = new Deno.Command(command, {
      args: [...args],
      cwd: ROOT,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#reading = Promise.all(
      [this.#process.stdout, this.#process.stderr].map((pipe) => this.#gather(pipe)),
    );
  }

  /** All it said so far. */
  get output(): string {
    return this.#output;
  }

  /** Waits until it says this. */
  async says(pattern: RegExp, patienceMs = 20_000): Promise<RegExpExecArray> {
    for (const deadline = performance.now() + patienceMs;;) {
      const match = pattern.exec(this.#output);
      if (match !== null) return match;
      if (performance.now() > deadline) throw new Error(`${pattern} was not said:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #gather(pipe: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const piece of pipe) this.#output += decoder.decode(piece, { stream: true });
  }

  /** Ends it and waits for the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 5_000);
    await this.#process.status;
    clearTimeout(timer);
    await this.#reading;
  }
}

/** Everything that passes the interface outside, as Wireshark's dissectors see it. */
export class Capture implements AsyncDisposable {
  readonly #file: string;
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<void>;

  static async start(): Promise<Capture> {
    const file = await Deno.makeTempFile({ suffix: ".pcap" });
    const process = new Deno.Command("tshark", {
      args: ["-i", NAMESPACE_INTERFACE, "-w", file],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const capturing = Promise.withResolvers<void>();
    const reading = (async () => {
      let text = "";
      for await (const piece of process.stderr) {
        text += new TextDecoder().decode(piece);
        if (/Capturing on/.test(text)) capturing.resolve();
      }
      capturing.reject(new Error(`tshark does not capture: ${text}`));
    })();
    await capturing.promise;
    await new Promise((resolve) => setTimeout(resolve, 500)); // it says so a moment before it does
    return new Capture(file, process, reading);
  }

  private constructor(file: string, process: Deno.ChildProcess, reading: Promise<void>) {
    this.#file = file;
    this.#process = process;
    this.#reading = reading;
  }

  /** Ends the capture; packets of the last moment are waited for. */
  async stop(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 500));
    this.#process.kill("SIGINT");
    await this.#process.status;
    await this.#reading;
  }

  /** Fields of the packets that pass a display filter, all their occurrences, each once. */
  async fields(filter: string, field: string): Promise<string[]> {
    const output = await new Deno.Command("tshark", {
      args: ["-r", this.#file, "-Y", filter, "-T", "fields", "-E", "aggregator=|", "-e", field],
      stderr: "null",
    }).output();
    const values = new TextDecoder().decode(output.stdout).split(/[\n|]/);
    return [...new Set(values.filter((value) => value !== ""))].sort();
  }

  /** How many packets pass a display filter. */
  async count(filter: string): Promise<number> {
    const output = await new Deno.Command("tshark", {
      args: ["-r", this.#file, "-Y", filter, "-T", "fields", "-e", "frame.number"],
      stderr: "null",
    }).output();
    return new TextDecoder().decode(output.stdout).split("\n").filter((line) => line !== "").length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#file);
  }
}
