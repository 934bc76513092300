import assert from "node:assert/strict";
import { RELOCK_AFTER_MS, RemoteLock } from "../../lib/rtp/remote_lock.ts";
import { formatEndpoint, parseEndpoint } from "../../lib/net/endpoint.ts";

/** A lock driven by texts: "+A" hears from A and accepts, "-A" refuses, ">A" sends to A. */
function play(latch: boolean, steps: readonly (readonly [atMs: number, step: string])[]): void {
  const lock = new RemoteLock({ latch });
  for (const [atMs, step] of steps) {
    const name = step.slice(1);
    const endpoint = name === "" ? null : parseEndpoint(name, 0);
    const where = `${atMs} ms: ${step}`;
    switch (step[0]) {
      case "=":
        lock.setRemote(endpoint, atMs);
        break;
      case "+":
      case "-":
        assert.equal(lock.accept(endpoint!, atMs), step[0] === "+", where);
        break;
      case ">":
        assert.equal(lock.target === null ? "" : formatEndpoint(lock.target), name, where);
        break;
      default:
        assert.fail(`unknown step ${step}`);
    }
  }
}

const PHONE = "192.0.2.5:4000";
const NAT = "198.51.100.9:61000";
const THIEF = "203.0.113.66:1234";

Deno.test("lock: sends as described until a packet arrives, then to where it came from", () => {
  play(true, [[0, ">"], [0, `=${PHONE}`], [0, `>${PHONE}`], [10, `+${NAT}`], [10, `>${NAT}`], [
    30,
    `+${NAT}`,
  ]]);
});

Deno.test("lock: another sender is refused while the locked one speaks", () => {
  play(true, [[0, `=${PHONE}`], [0, `+${NAT}`], [1900, `+${NAT}`], [3000, `-${THIEF}`], [3800, `>${NAT}`]]);
});

Deno.test("lock: after silence a new sender may take over", () => {
  play(true, [
    [0, `=${PHONE}`],
    [0, `+${NAT}`],
    [RELOCK_AFTER_MS - 1, `-${THIEF}`],
    [RELOCK_AFTER_MS, "+198.51.100.9:61002"],
    [RELOCK_AFTER_MS, ">198.51.100.9:61002"],
    [RELOCK_AFTER_MS, `-${NAT}`],
  ]);
});

Deno.test("lock: the described address takes over at once and for good", () => {
  play(true, [[0, `=${PHONE}`], [0, `+${THIEF}`], [5, `+${PHONE}`], [5, `>${PHONE}`], [10, `-${THIEF}`]]);
});

Deno.test("lock: who sends from the described address is not left for a stranger, however long it is silent", () => {
  play(true, [
    [0, `=${PHONE}`],
    [0, `+${PHONE}`],
    [RELOCK_AFTER_MS, `-${THIEF}`],
    [100 * RELOCK_AFTER_MS, `-${THIEF}`],
    [100 * RELOCK_AFTER_MS, `>${PHONE}`],
    [100 * RELOCK_AFTER_MS, `+${PHONE}`],
    [100 * RELOCK_AFTER_MS, `=${NAT}`], // unless a new description says so
    [100 * RELOCK_AFTER_MS, `+${NAT}`],
    [100 * RELOCK_AFTER_MS, `>${NAT}`],
  ]);
});

Deno.test("lock: media before the answer is heard, nothing is sent before it", () => {
  play(true, [[0, `+${PHONE}`], [0, ">"], [20, `=${PHONE}`], [20, `>${PHONE}`], [40, `-${THIEF}`]]);
  play(true, [[0, `+${NAT}`], [20, `=${PHONE}`], [20, `>${NAT}`], [40, `+${NAT}`]]);
});

Deno.test("lock: hold stops sending and keeps the lock", () => {
  play(true, [
    [0, `=${PHONE}`],
    [0, `+${NAT}`],
    [100, "="],
    [100, ">"],
    [120, `+${NAT}`],
    [120, `-${THIEF}`],
    [200, `=${PHONE}`],
    [200, `>${NAT}`],
  ]);
});

Deno.test("lock: a newly described address is used at once; the former sender is heard, not locked", () => {
  const moved = "192.0.2.77:5000";
  play(true, [
    [0, `=${PHONE}`],
    [0, `+${NAT}`],
    [100, `=${moved}`],
    [100, `>${moved}`],
    [110, `+${NAT}`],
    [110, `>${moved}`],
    [120, "+198.51.100.10:7000"],
    [120, ">198.51.100.10:7000"],
    [130, `-${NAT}`],
  ]);
  // When only the former sender goes on, it is the peer after all.
  play(true, [
    [0, `=${PHONE}`],
    [0, `+${NAT}`],
    [100, `=${moved}`],
    [100 + RELOCK_AFTER_MS, `+${NAT}`],
    [100 + RELOCK_AFTER_MS, `>${NAT}`],
  ]);
});

Deno.test("lock: a description that catches up with the sender changes nothing", () => {
  play(true, [[0, `=${PHONE}`], [0, `+${NAT}`], [100, `=${NAT}`], [100, `>${NAT}`], [110, `-${THIEF}`]]);
});

Deno.test("lock: without latching only the described host is heard, and always sent to", () => {
  play(false, [
    [0, `+${THIEF}`],
    [0, ">"],
    [10, `=${PHONE}`],
    [20, `-${THIEF}`],
    [30, "+192.0.2.5:4444"],
    [30, `>${PHONE}`],
    [40, "="],
    [50, `+${PHONE}`],
    [50, ">"],
  ]);
});

Deno.test("lock: IPv6 addresses compare by value", () => {
  play(true, [
    [0, "=[2001:db8:0:0::5]:4000"],
    [0, `+[2001:db8::99]:1`],
    [5, "+[2001:db8::5]:4000"],
    [5, ">[2001:db8::5]:4000"],
  ]);
});
