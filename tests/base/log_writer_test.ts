// An output that stalls, fails, writes in part, and comes back.

import assert from "node:assert/strict";
import { LineWriter, type WriteBytes } from "../../lib/base/log_writer.ts";
import { settle } from "../support/fake_clock.ts";

/** An output the test controls: each write waits until it is let through or failed. */
class StalledOutput {
  readonly written: string[] = [];
  #settle: ((error?: Error) => void) | null = null;

  readonly write: WriteBytes = (bytes) => {
    return new Promise((resolve, reject) => {
      this.#settle = (error) => {
        if (error !== undefined) return reject(error);
        this.written.push(new TextDecoder().decode(bytes));
        resolve(bytes.length);
      };
    });
  };

  async step(error?: Error): Promise<void> {
    await settle();
    const go = this.#settle;
    this.#settle = null;
    go?.(error);
    await settle();
  }
}

Deno.test("lines of one turn leave in one write, later ones wait for it", async () => {
  const output = new StalledOutput();
  const writer = new LineWriter(null, output.write);
  writer.put("one");
  writer.put("two");
  await settle();
  writer.put("three");
  await output.step();
  await output.step();
  assert.deepEqual(output.written, ["one\ntwo\n", "three\n"]);
  await writer.close();
});

Deno.test("a full disk loses lines, counts them, and says so once when it recovers", async () => {
  const output = new StalledOutput();
  const writer = new LineWriter(null, output.write);
  writer.put("one");
  writer.put("two");
  await output.step(new Error("no space left on device"));
  writer.put("three");
  await output.step(new Error("no space left on device"));
  assert.equal(writer.lost, 3);
  writer.put("four");
  await output.step();
  await output.step();
  writer.put("five");
  await output.step();
  assert.match(output.written[0]!, /3 log lines before this one could not be written\n$/);
  assert.deepEqual(output.written.slice(1), ["four\n", "five\n"]);
  assert.equal(writer.lost, 3);
  await writer.close();
});

Deno.test("a reader that stalls costs lines above the bound, never memory or time", async () => {
  const output = new StalledOutput();
  const writer = new LineWriter(null, output.write);
  const line = "x".repeat(1023);
  for (let i = 0; i < 3000; i++) writer.put(line);
  assert.equal(writer.lost, 3000 - 1024);
  while (output.written.length < 17) await output.step();
  const bytes = output.written.reduce((sum, text) => sum + text.length, 0);
  assert.ok(bytes >= 1024 * 1024 - 65536);
  while (output.written.join("").length < 1024 * 1024) await output.step();
  await writer.close();
});

Deno.test("an output that takes a few bytes at a time gets every byte in order", async () => {
  const parts: number[] = [];
  const writer = new LineWriter(null, (bytes) => {
    const count = Math.min(3, bytes.length);
    parts.push(...bytes.subarray(0, count));
    return Promise.resolve(count);
  });
  writer.put("hello");
  writer.put("wörld");
  await writer.close();
  assert.equal(new TextDecoder().decode(Uint8Array.from(parts)), "hello\nwörld\n");
  writer.put("late");
  assert.equal(writer.lost, 0);
});

Deno.test("close waits for what is queued", async () => {
  const written: string[] = [];
  const writer = new LineWriter(null, async (bytes) => {
    await settle();
    written.push(new TextDecoder().decode(bytes));
    return bytes.length;
  });
  writer.put("last words");
  await writer.close();
  assert.deepEqual(written, ["last words\n"]);
});

Deno.test("the real standard error on a full device: nothing thrown, the work goes on, exit 0", async () => {
  const root = new URL("../../", import.meta.url);
  const script = `
    import { openLog } from ${JSON.stringify(new URL("lib/base/log.ts", root).href)};
    const opened = openLog({ verbosity: "normal" });
    for (let i = 0; i < 100; i++) opened.log.info("line " + i);
    await opened.close();
    await Deno.stdout.write(new TextEncoder().encode("lost " + opened.lost));
  `;
  const deno = `"${Deno.execPath()}" eval --config deno.json "$0"`;
  for (const [redirect, lost] of [["2>/dev/full", "lost 100"], ["2>/dev/null", "lost 0"]]) {
    const shell = new Deno.Command("sh", {
      args: ["-c", `${deno} ${redirect}`, script],
      cwd: root,
      stdout: "piped",
    });
    const { code, stdout } = await shell.output();
    assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, lost]);
  }
});
