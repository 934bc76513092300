// What one more client and one more call hold, measured in a gateway of its own process after its garbage is gone, by
// the difference between some and many. Bounds stand a third above what was measured when they were written (18 and
// 31 KiB); they are there to tell when something holds a buffer, a timer or a message that it should not.

import assert from "node:assert/strict";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { SipAnswerer } from "../support/sip_answerer.ts";

const FEW = 20;
const MANY = 120;
const CLIENT_KIB = 25;
const CALL_KIB = 42;

class HeapGateway implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  port = 0;

  constructor() {
    const script = new URL("../support/heap_gateway.ts", import.meta.url).pathname;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", "--v8-flags=--expose-gc", script],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#input = this.#child.stdin.getWriter();
  }

  async #number(): Promise<number> {
    let text = "";
    while (!text.endsWith("\n")) text += (await this.#lines.read()).value ?? "\n";
    return Number(text);
  }

  async start(): Promise<void> {
    this.port = await this.#number();
  }

  async kib(): Promise<number> {
    await this.#input.write(new TextEncoder().encode("?\n"));
    return await this.#number() / 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    while (!(await this.#lines.read()).done);
    await this.#child.status;
  }
}

/** Does something FEW times and then MANY times; gives what each time more holds. */
async function kibEach(gateway: HeapGateway, step: (index: number) => Promise<void>): Promise<number> {
  for (let index = 0; index < FEW; index++) await step(index);
  const few = await gateway.kib();
  for (let index = FEW; index < MANY; index++) await step(index);
  return (await gateway.kib() - few) / (MANY - FEW);
}

Deno.test("memory: a client that does nothing, and a call without a word, hold what they need and no more", async () => {
  await using gateway = new HeapGateway();
  await gateway.start();
  await using phone = new SipAnswerer();
  await using phones = new AsyncDisposableStack();
  const clients: RtmpPhone[] = [];
  const clientKib = await kibEach(gateway, async (index) => {
    const url = `rtmp://127.0.0.1:${gateway.port}/sip/user${index}@127.0.0.1`;
    clients.push(phones.use(await RtmpPhone.connect({ url })));
  });
  assert.ok(clientKib > 5 && clientKib < CLIENT_KIB, `${clientKib.toFixed(1)} KiB a client`);
  const callKib = await kibEach(gateway, async (index) => {
    clients[index]!.client.send("invite", `sip:phone@${phone.address}`, "pcmu");
    await clients[index]!.expect("accepted");
  });
  assert.ok(callKib > 5 && callKib < CALL_KIB, `${callKib.toFixed(1)} KiB a call`);
});
