// Answers to: lib/sip/transaction/server_transaction_handle.ts: one final answer, one To tag, 2xx until the ACK, CANCEL.

import assert from "node:assert/strict";
import {
  RepeatedResponse,
  ServerTransactionHandle,
} from "../../../lib/sip/transaction/server_transaction_handle.ts";
import { defaultTimers } from "../../../lib/sip/transaction/timers.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { flowBy, type HeaderChanges, receivedRequest } from "../../support/sip_messages.ts";

class Bench {
  readonly clock = new FakeClock();
  readonly lines: string[] = [];
  readonly tos: (string | null)[] = [];
  readonly handle: ServerTransactionHandle;

  constructor(method: string, changes: HeaderChanges = {}, transport: "udp" | "tcp" = "udp") {
    this.handle = new ServerTransactionHandle(receivedRequest(method, changes), flowBy(transport), "fresh", {
      clock: this.clock,
      timers: defaultTimers,
      send: (response, flow) => {
        this.note(`${response.status} by ${flow.transport}`);
        this.tos.push(response.headers.get("To"));
      },
      awaitAck: () => this.note("await ACK"),
      forgetAck: () => this.note("forget ACK"),
      answered: () => {},
      ended: () => this.note("ended"),
    });
    this.handle.onTimeout = () => this.note("no ACK");
    this.handle.onAck = (ack) => this.note(`told ${ack.method}`);
    this.handle.onCancel = (cancel) => this.note(`told ${cancel.method}`);
  }

  note(text: string): void {
    this.lines.push(`${this.clock.now()} ${text}`);
  }
}

Deno.test("handle: our tag in every To but that of 100, the same in all", () => {
  const { handle, tos } = new Bench("INVITE");
  assert.equal(handle.localTag, "fresh");
  handle.reply(100);
  handle.reply(180);
  const bare = handle.createResponse(486);
  bare.headers.set("To", "<sip:bob@example.net>");
  handle.respond(bare);
  const tagged = "<sip:bob@example.net>;tag=fresh";
  assert.deepEqual(tos, ["<sip:bob@example.net>", tagged, tagged]);
  handle[Symbol.dispose]();
});

Deno.test("handle: inside a dialog our tag is the request's", () => {
  const { handle, tos } = new Bench("BYE", { To: "<sip:bob@example.net>;tag=known" });
  handle.reply(200);
  assert.deepEqual([handle.localTag, tos], ["known", ["<sip:bob@example.net>;tag=known"]]);
  handle[Symbol.dispose]();
});

Deno.test("handle: a 2xx is repeated until the ACK, which is told once", () => {
  const { handle, clock, lines } = new Bench("INVITE", {}, "tcp");
  assert.deepEqual([handle.reply(200), handle.answered, handle.reply(486)], [true, true, false]);
  clock.advance(1600);
  const ack = receivedRequest("ACK");
  assert.deepEqual([handle.acknowledge(ack), handle.acknowledge(ack)], [true, false]);
  clock.advance(40000);
  assert.deepEqual(lines, [
    "0 200 by tcp",
    "0 await ACK",
    "500 200 by tcp",
    "1500 200 by tcp",
    "1600 forget ACK",
    "1600 told ACK",
    "32000 ended",
  ]);
  assert.equal(clock.pending, 0);
});

Deno.test("handle: no ACK for a 2xx, and no ACK for a failure", () => {
  for (const status of [200, 603]) {
    const { handle, clock, lines } = new Bench("INVITE");
    handle.reply(status);
    clock.advance(40000);
    assert.equal(lines.filter((line) => line === "32000 no ACK").length, 1);
    assert.equal(lines.filter((line) => line === "32000 ended").length, 1);
    assert.equal(clock.pending, 0);
  }
});

Deno.test("handle: a 2xx to anything but INVITE is sent once", () => {
  const { handle, clock, lines } = new Bench("OPTIONS");
  handle.reply(200);
  clock.advance(40000);
  assert.deepEqual(lines, ["0 200 by udp", "32000 ended"]);
});

Deno.test("handle: a cancelled INVITE is told and answered 487, unless the user agent answers or has answered", () => {
  const cancel = receivedRequest("CANCEL");
  const first = new Bench("INVITE");
  first.handle.cancel(cancel);
  assert.deepEqual(first.lines, ["0 told CANCEL", "0 487 by udp"]);
  first.handle[Symbol.dispose]();

  const second = new Bench("INVITE");
  second.handle.onCancel = () => void second.handle.reply(486);
  second.handle.cancel(cancel);
  second.handle.cancel(cancel);
  assert.deepEqual(second.lines, ["0 486 by udp"]);
  second.handle[Symbol.dispose]();

  const third = new Bench("OPTIONS");
  third.handle.cancel(cancel);
  assert.deepEqual(third.lines, []);
  third.handle[Symbol.dispose]();
});

Deno.test("handle: disposing from inside onAck and onCancel leaves nothing running", () => {
  const acked = new Bench("INVITE");
  acked.handle.onAck = () => acked.handle[Symbol.dispose]();
  acked.handle.reply(200);
  acked.handle.acknowledge(receivedRequest("ACK"));
  assert.equal(acked.clock.pending, 0);
  const cancelled = new Bench("INVITE");
  cancelled.handle.onCancel = () => cancelled.handle[Symbol.dispose]();
  cancelled.handle.cancel(receivedRequest("CANCEL"));
  assert.deepEqual([cancelled.clock.pending, cancelled.lines], [0, ["0 ended"]]);
});

function start(clock: FakeClock, capMs?: number): { machine: RepeatedResponse; log: (number | string)[] } {
  const log: (number | string)[] = [];
  const machine = new RepeatedResponse({
    timers: defaultTimers,
    clock,
    resend: () => log.push(clock.now()),
    timedOut: () => log.push(`gave up at ${clock.now()}`),
    ...(capMs === undefined ? {} : { capMs }),
  });
  return { machine, log };
}

Deno.test("repeated response: after T1, doubling up to T2, for 64*T1", () => {
  const clock = new FakeClock();
  const { machine, log } = start(clock);
  clock.advance(100000);
  const times = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
  assert.deepEqual(log, [...times, "gave up at 32000"]);
  assert.deepEqual([machine.running, clock.pending], [false, 0]);
});

Deno.test("repeated response: without a cap it doubles on (RFC 3262 3)", () => {
  const clock = new FakeClock();
  const { log } = start(clock, Infinity);
  clock.advance(100000);
  assert.deepEqual(log, [500, 1500, 3500, 7500, 15500, 31500, "gave up at 32000"]);
});

Deno.test("repeated response: the acknowledgement ends it, once", () => {
  const clock = new FakeClock();
  const { machine, log } = start(clock);
  clock.advance(600);
  assert.deepEqual([machine.running, machine.acknowledge(), machine.acknowledge()], [true, true, false]);
  clock.advance(100000);
  assert.deepEqual([log, machine.running, clock.pending], [[500], false, 0]);
});

Deno.test("repeated response: acknowledged from inside its own repetition", () => {
  const clock = new FakeClock();
  const resent: number[] = [];
  const machine: RepeatedResponse = new RepeatedResponse({
    timers: defaultTimers,
    clock,
    resend: () => {
      resent.push(clock.now());
      machine.acknowledge();
    },
    timedOut: () => assert.fail("gave up although acknowledged"),
  });
  clock.advance(100000);
  assert.deepEqual([resent, machine.running, clock.pending], [[500], false, 0]);
});
