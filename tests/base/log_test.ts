// Levels by category, masking, plain and safe lines.

import assert from "node:assert/strict";
import { ConfigError, TransportError, WireError } from "../../lib/base/errors.ts";
import { type Category, type Level, type Logger, openLog, silentLog } from "../../lib/base/log.ts";

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
