// Levels by category, masking, plain and safe lines.

import assert from "node:assert/strict";
import { ConfigError, TransportError, WireError } from "../../lib/base/errors.ts";
import {
  type Category,
  type Level,
  LineWriter,
  type Logger,
  openLog,
  silentLog,
  type WriteBytes,
} from "../../lib/base/log.ts";
import { settle } from "../support/fake_clock.ts";

const LEVELS: readonly Level[] = ["error", "warn", "info", "debug", "trace"];

function lowest(log: Logger): Level | undefined {
  return LEVELS.filter((level) => log.enabled(level)).at(-1);
}

/** Lines without their time. */
function record(verbosity: "normal" | "debug" | "trace" = "trace") {
  const lines: string[] = [];
  const opened = openLog({ verbosity, write: (line) => lines.push(line.replace(/^\S+ /, "")) });
  return { lines, opened, log: opened.log };
}

Deno.test("verbosity decides per category, and enabled() agrees with what is written", async () => {
  const expected: [Category, Level, Level, Level][] = [
    ["main", "info", "info", "trace"],
    ["rtmp", "info", "debug", "trace"],
    ["rtmp.wire", "info", "debug", "trace"],
    ["sip", "info", "debug", "trace"],
    ["sip.wire", "info", "debug", "trace"],
    ["media", "info", "debug", "trace"],
    ["call", "info", "debug", "trace"],
    ["rtp", "info", "info", "trace"],
    ["sdp", "info", "info", "trace"],
  ];
  for (const [column, verbosity] of (["normal", "debug", "trace"] as const).entries()) {
    const { lines, opened, log } = record(verbosity);
    for (const row of expected) {
      const logger = log.category(row[0]);
      assert.equal(lowest(logger), row[column + 1], `${row[0]} at ${verbosity}`);
      lines.length = 0;
      for (const level of LEVELS) logger[level](level);
      const written = LEVELS.slice(0, LEVELS.indexOf(row[column + 1] as Level) + 1);
      assert.deepEqual(lines.map((line) => line.split(" ").at(-1)), written);
    }
    await opened.close();
  }
});

Deno.test("children put their names before the text and keep them over categories", async () => {
  const { lines, opened, log } = record();
  const call = log.category("call").child("conn 7").child("call 3");
  call.info("started");
  call.category("sip.wire").debug("REGISTER");
  assert.deepEqual(lines, [
    "info  call      conn 7: call 3: started",
    "debug sip.wire  conn 7: call 3: REGISTER",
  ]);
  await opened.close();
});

Deno.test("details: errors of peers are one line, bugs show their stack, values are inspected", async () => {
  const { lines, opened, log } = record();
  log.warn("a", new WireError("SDP", "no v= line", 3));
  log.warn("b", new TransportError("Cannot bind", "addr-in-use"));
  log.warn("c", new ConfigError("port"));
  log.error("d", new TypeError("bug"));
  log.info("e", { name: "x", list: [1, 2] });
  log.info("f", "text");
  log.info("g {braces} %s", 5);
  assert.deepEqual(lines.slice(0, 3), [
    "warn  main      a: Cannot decode SDP: no v= line (at byte 3)",
    "warn  main      b: Cannot bind",
    "warn  main      c: port",
  ]);
  assert.match(lines[3]!, /^error main {6}d: TypeError: bug\n {4}.* at /);
  assert.deepEqual(lines.slice(4), [
    'info  main      e: { name: "x", list: [ 1, 2 ] }',
    "info  main      f: text",
    "info  main      g {braces} %s: 5",
  ]);
  await opened.close();
});

Deno.test("further lines are indented, control characters shown, lines after close ignored", async () => {
  const { lines, opened, log } = record();
  log.info("OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n");
  log.info("\x1b[31mred\x07 a\rb \x9b\ttab");
  assert.deepEqual(lines, [
    "info  main      OPTIONS sip:a SIP/2.0\n    Via: x\n    ",
    "info  main      \\x1b[31mred\\x07 a\\x0db \\x9b\ttab",
  ]);
  await opened.close();
  log.info("late");
  assert.equal(lines.length, 2);
  assert.equal(log.enabled("error"), false);
});

Deno.test("two logs may be open at once and do not mix", async () => {
  const first = record("normal");
  const second = record("trace");
  first.log.info("one");
  second.log.trace("two");
  await first.opened.close();
  second.log.info("three");
  await second.opened.close();
  assert.deepEqual(first.lines.map((line) => line.split(" ").at(-1)), ["one"]);
  assert.deepEqual(second.lines.map((line) => line.split(" ").at(-1)), ["two", "three"]);
});

Deno.test("a sink that throws costs lines, which are counted and told once it works again", async () => {
  const lines: string[] = [];
  let broken = true;
  const opened = openLog({
    verbosity: "normal",
    write: (line) => {
      if (broken) throw new Error("no space left on device");
      lines.push(line.replace(/^\S+ /, ""));
    },
  });
  opened.log.info("one");
  opened.log.info("two");
  assert.equal(opened.lost, 2);
  broken = false;
  opened.log.info("three");
  opened.log.info("four");
  assert.deepEqual(lines, [
    "warn  main      2 log lines before this one could not be written",
    "info  main      three",
    "info  main      four",
  ]);
  await opened.close();
});

Deno.test("no secret leaves through the log", async () => {
  const { lines, opened, log } = record();
  log.child("sip:alice:hunter2@host").info(
    'Authorization: Digest username="a", response="0123456789abcdef"',
    {
      password: "hunter2",
    },
  );
  assert.ok(!/hunter2|0123456789abcdef/.test(lines[0]!), lines[0]);
  assert.match(lines[0]!, /username="a"/);
  await opened.close();
});

Deno.test("the silent log is silent in all its children", () => {
  const child = silentLog.child("x").category("sip");
  for (const level of LEVELS) {
    child[level]("nothing");
    assert.equal(child.enabled(level), false);
  }
});

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
