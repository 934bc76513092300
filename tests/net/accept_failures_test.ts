import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { AcceptFailures } from "../../lib/net/accept_failures.ts";

const FULL = new TransportError("Cannot accept a connection: Too many open files", "failed");

Deno.test("pauses grow to a second and begin anew behind a success", () => {
  const failures = new AcceptFailures(() => 0, undefined);
  const pauses = Array.from({ length: 6 }, () => failures.failed(FULL));
  assert.deepEqual(pauses, [100, 200, 400, 800, 1000, 1000]);
  failures.succeeded();
  assert.equal(failures.failed(FULL), 100);
});

Deno.test("an hour without file descriptors is a line a minute, however often one is accepted in between", () => {
  let nowMs = 0;
  const lines: string[] = [];
  const failures = new AcceptFailures(() => nowMs, (error) => lines.push(error.message));
  for (; nowMs < 3_600_000; nowMs += 500) {
    failures.failed(FULL);
    if (nowMs % 1500 === 0) failures.succeeded();
  }
  assert.equal(lines.length, 60);
  const remedy = "; accepting pauses: raise the limit of the process (ulimit -n, LimitNOFILE)";
  assert.equal(lines[0], `Cannot accept a connection: Too many open files${remedy}`);
  assert.equal(lines[1], `Cannot accept a connection: Too many open files (and 119 times before)${remedy}`);
});

const REASONS: [reason: string, line: RegExp][] = [
  ["Too many open files in system", /files in system; accepting pauses: raise the limit of the machine/],
  ["Too many open files in the system", /raise the limit of the machine/],
  ["No buffer space available", /available; accepting pauses: the machine is short of memory for sockets$/],
  ["Cannot allocate memory", /memory; accepting pauses: the machine is short of memory$/],
  ["Software caused connection abort", /: Software caused connection abort$/],
  ["error 1", /: error 1$/],
];

for (const [reason, line] of REASONS) {
  Deno.test(`${reason}: what to do is said where it is known`, () => {
    const lines: string[] = [];
    const failures = new AcceptFailures(() => 0, (error) => lines.push(error.message));
    failures.failed(new TransportError(`Cannot accept a connection: ${reason}`, "failed"));
    assert.match(lines.join("\n"), line);
  });
}
