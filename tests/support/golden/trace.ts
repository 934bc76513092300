// What goes over the wires of one scenario, as text in the order in which the scenario asks for it. Compared with the
// text of tests/golden/traces; SIPRTMP_GOLDEN=record writes it anew.

import assert from "node:assert/strict";
import { startGateway, type TestGateway } from "../test_gateway.ts";
import { Mask } from "./mask.ts";
import { Phone } from "./phone.ts";
import { Program } from "./program.ts";

const FOLDER = new URL("../../golden/traces/", import.meta.url);

/** How long something may take to come: far above what it needs on a busy machine. */
export const PATIENCE_MS = 30_000;

/** Waits for something; polls, since what is waited for comes from several sockets. */
export async function until(what: () => string, isSo: () => boolean): Promise<void> {
  const endMs = Date.now() + PATIENCE_MS;
  while (!isSo()) {
    if (Date.now() > endMs) throw new Error(`it never came about: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export class Trace {
  readonly mask = new Mask();
  readonly #lines: string[] = [];

  /** Writes what happened on a wire; further lines of it are indented. */
  write(who: string, direction: "->" | "<-", text: string): void {
    const [first = "", ...rest] = this.mask.text(text).trimEnd().split(/\r?\n/);
    this.#lines.push(`${who} ${direction} ${first}`, ...rest.map((line) => `    ${line}`.trimEnd()));
  }

  /** A line about what the scenario does next. */
  note(text: string): void {
    this.#lines.push("", `# ${text}`);
  }

  get text(): string {
    return this.#lines.join("\n").trim() + "\n";
  }
}

/** A running gateway and those who talk to it. */
export class Stage {
  readonly #parties: (Phone | Program)[] = [];

  constructor(readonly trace: Trace, readonly running: TestGateway) {}

  get sipPort(): number {
    return this.running.gateway.sipPort;
  }

  note(text: string): void {
    this.trace.note(text);
  }

  /** A SIP phone, or a server played by the scenario. */
  phone(name: string): Phone {
    const phone = new Phone(name, this.trace, this.sipPort);
    this.#parties.push(phone);
    return phone;
  }

  /** An RTMP connection; connect is sent and answered. */
  async program(name: string, path: string, ...args: unknown[]): Promise<Program> {
    const program = await this.silentProgram(name);
    program.connect(path, ...args);
    await program.take(/_result/);
    return program;
  }

  /** An RTMP connection that has said nothing yet. */
  async silentProgram(name: string): Promise<Program> {
    const program = await Program.open(name, this.trace, this.running.gateway.rtmp.port);
    this.#parties.push(program);
    return program;
  }

  /** Waits until nothing of calls is left. */
  async quiet(): Promise<void> {
    const { gateway } = this.running;
    await until(() => `no call is left: ${JSON.stringify(gateway.usage)}`, () => {
      const { calls, rtpPorts } = gateway.usage;
      return calls + rtpPorts === 0;
    });
  }

  /** Everybody leaves; what was not asked for is written, too. */
  async close(): Promise<void> {
    for (const party of this.#parties) party.writeRest();
    for (const party of this.#parties) await party.close();
  }
}

/** Runs a scenario and compares its trace. */
export function golden(
  name: string,
  run: (stage: Stage) => Promise<void>,
  options: { flags?: Record<string, string | boolean>; file?: string; ignore?: boolean } = {},
): void {
  Deno.test({ name: `golden trace: ${name}`, ignore: options.ignore ?? false }, async () => {
    for (let attempts = 1; !await playOnce(name, run, options); attempts++) {
      assert.ok(attempts < 5, "the same port number for two sockets, again and again");
    }
  });
}

/** False: it has to be played again, with other ports. */
async function playOnce(
  name: string,
  run: (stage: Stage) => Promise<void>,
  { flags, file }: { flags?: Record<string, string | boolean>; file?: string },
): Promise<boolean> {
  const trace = new Trace();
  const running = await startGateway(
    { "max-lag": "0", "rtmp-ping": "600", "rtmp-idle": "1200", ...flags },
    file,
  );
  trace.mask.port(running.gateway.sipPort, "GATEWAY");
  trace.mask.port(running.gateway.rtmp.port, "RTMP");
  const stage = new Stage(trace, running);
  try {
    await run(stage);
    await stage.close();
  } catch (error) {
    throw new Error(`${name}: ${error}\n${trace.text}\n${running.lines()}`, { cause: error });
  } finally {
    await stage.close();
    await running[Symbol.asyncDispose]();
  }
  if (trace.mask.ambiguous) return false;
  await compare(name.replaceAll(/\W+/g, "_"), trace, running.lines());
  return true;
}

async function compare(file: string, trace: Trace, log: string): Promise<void> {
  const url = new URL(`${file}.txt`, FOLDER);
  if (Deno.env.get("SIPRTMP_GOLDEN") === "record") {
    await Deno.writeTextFile(url, trace.text);
    await Deno.writeTextFile(new URL(`${file}.log`, FOLDER), readable(log, trace.mask));
    return;
  }
  assert.deepEqual(trace.text.split("\n"), (await Deno.readTextFile(url)).split("\n"));
}

/** The log, for reading only: it is compared with nothing. */
function readable(log: string, mask: Mask): string {
  const lines = log.split("\n").filter((line) => !/^\s|^$/.test(line)); // messages stand in the trace
  return mask.text(lines.join("\n").replaceAll(/^\S*\d\d:\d\d:\d\d\S* /gm, "")) + "\n";
}
