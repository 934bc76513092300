// Answers to: lib/sip/transport/keep_alive.ts, and how registrations, endpoint and transport use it.

import assert from "node:assert/strict";
import { seededRandom } from "../../../lib/base/random.ts";
import type { Endpoint } from "../../../lib/net/endpoint.ts";
import { answerStun, decodeStun, encodeStun, type StunMessage } from "../../../lib/net/stun.ts";
import {
  type KeepAliveMethod,
  KeepAlives,
  MAX_KEPT_FLOWS,
  NO_KEEP_ALIVE,
  PONG_MS,
} from "../../../lib/sip/transport/keep_alive.ts";
import type { ClientHandle, ClientOutlets } from "../../../lib/sip/transaction/client_handle.ts";
import { createResponse, type SipRequest } from "../../../lib/sip/message/message.ts";
import type { Flow, Target } from "../../../lib/sip/message/target.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";
import { wireRequest } from "../../support/sip_wire_messages.ts";

const PERIOD_MS = 25_000;
const AT: Endpoint = { hostname: "192.0.2.1", port: 5060 };
const SEEN = { hostname: "203.0.113.7", port: 5060 };

function targetOf(transport: "udp" | "tcp"): Target {
  return { transport, endpoint: AT };
}

function flowOf(transport: "udp" | "tcp"): Flow {
  return { transport, remote: AT, local: { hostname: "0.0.0.0", port: 5060 }, connectionId: 1 };
}

class Bench {
  readonly clock = new FakeClock();
  readonly log = new RecordLog("info");
  /** "crlf@25.000", "stun@25.500", "OPTIONS@25.000", in seconds. */
  readonly sent: string[] = [];
  readonly stun: StunMessage[] = [];
  readonly options: { request: SipRequest; outlets: ClientOutlets }[] = [];
  readonly failures: string[] = [];
  readonly abandoned: Target[] = [];
  connected = true;
  readonly keepAlives: KeepAlives;

  constructor(method: KeepAliveMethod) {
    this.keepAlives = new KeepAlives({
      clock: this.clock,
      random: { ...seededRandom(3), float: () => 1 },
      log: this.log,
      settings: { method, periodMs: PERIOD_MS },
      layer: {
        request: (request, _targets, outlets) => {
          this.#note("OPTIONS");
          this.options.push({ request, outlets });
          return {} as ClientHandle;
        },
      },
      send: (bytes) => {
        if (!this.connected) return false;
        const crlf = bytes.length === 4;
        this.#note(crlf ? "crlf" : "stun");
        if (!crlf) this.stun.push(decodeStun(bytes));
        return true;
      },
      abandon: (target) => void this.abandoned.push(target),
    });
  }

  hold(transport: "udp" | "tcp", name = "a"): Disposable {
    return this.keepAlives.hold(targetOf(transport), {
      createOptions: () => wireRequest(),
      flowFailed: (reason) => void this.failures.push(`${name}: ${reason}`),
    });
  }

  /** Answers the last STUN request. */
  mapped(mapped: Endpoint): void {
    const { id } = this.stun.at(-1)!;
    this.keepAlives.answered({ type: "stun", message: { type: "success", id, mapped } }, flowOf("udp"));
  }

  #note(what: string): void {
    this.sent.push(`${what}@${(this.clock.now() / 1000).toFixed(1)}`);
  }
}

const METHODS: [method: KeepAliveMethod, transport: "udp" | "tcp", sent: string[]][] = [
  ["crlf", "udp", ["crlf@25.0", "crlf@50.0"]],
  ["crlf", "tcp", ["crlf@25.0", "crlf@50.0"]],
  ["stun", "udp", ["stun@25.0", "stun@25.5", "stun@26.5", "stun@28.5", "stun@32.5", "stun@40.5"]],
  ["stun", "tcp", ["crlf@25.0", "crlf@50.0"]],
  ["options", "udp", ["OPTIONS@25.0"]],
  ["options", "tcp", ["OPTIONS@25.0"]],
  ["off", "udp", []],
  ["off", "tcp", []],
];

for (const [method, transport, sent] of METHODS) {
  Deno.test(`keep_alive: ${method} over ${transport}, unanswered: one question at a time, nobody is bothered`, () => {
    const bench = new Bench(method);
    const hold = bench.hold(transport);
    bench.clock.advance(2 * PERIOD_MS + 100);
    assert.deepEqual(bench.sent, sent);
    assert.deepEqual([bench.failures, bench.log.lines], [[], []]);
    hold[Symbol.dispose]();
    assert.equal(bench.clock.pending, 0);
    assert.equal(bench.keepAlives.size, 0);
  });
}

Deno.test("keep_alive: the wait is between 80 and 100 % of the period", () => {
  const clock = new FakeClock();
  const times: number[] = [];
  const bench = new Bench("off");
  const keepAlives = new KeepAlives({
    clock,
    random: seededRandom(5),
    log: bench.log,
    settings: { method: "crlf", periodMs: 10_000 },
    layer: { request: () => assert.fail() },
    send: () => times.push(clock.now()) > 0,
    abandon: () => {},
  });
  using _hold = keepAlives.hold(targetOf("udp"), { createOptions: wireRequest, flowFailed: () => {} });
  clock.advance(1_000_000);
  const waits = times.map((time, i) => time - (times[i - 1] ?? 0));
  assert.ok(waits.length >= 100 && waits.length <= 125, `${waits.length}`);
  assert.ok(waits.every((wait) => wait >= 8_000 && wait <= 10_000));
  assert.ok(new Set(waits).size > 50);
  keepAlives[Symbol.dispose]();
  assert.equal(clock.pending, 0);
});

Deno.test("keep_alive: one flow for many users, until the last lets go", () => {
  const bench = new Bench("crlf");
  const holds = ["a", "b", "c"].map((name) => bench.hold("udp", name));
  bench.clock.advance(PERIOD_MS);
  assert.deepEqual([bench.sent.length, bench.keepAlives.size], [1, 1]);
  holds[0]![Symbol.dispose]();
  holds[0]![Symbol.dispose]();
  holds[1]![Symbol.dispose]();
  bench.clock.advance(PERIOD_MS);
  assert.equal(bench.sent.length, 2);
  holds[2]![Symbol.dispose]();
  bench.clock.advance(PERIOD_MS);
  assert.deepEqual([bench.sent.length, bench.keepAlives.size, bench.clock.pending], [2, 0, 0]);
});

Deno.test("keep_alive: flows are bounded; those beyond live without", () => {
  const bench = new Bench("crlf");
  const holder = { createOptions: () => wireRequest(), flowFailed: () => {} };
  const holds = Array.from(
    { length: MAX_KEPT_FLOWS + 5 },
    (_, i) =>
      bench.keepAlives.hold(
        { transport: "udp", endpoint: { hostname: "192.0.2.1", port: 1000 + i } },
        holder,
      ),
  );
  assert.equal(bench.keepAlives.size, MAX_KEPT_FLOWS);
  for (const hold of holds) hold[Symbol.dispose]();
  assert.deepEqual([bench.keepAlives.size, bench.clock.pending], [0, 0]);
});

Deno.test("keep_alive: over TCP a peer that answered once and then no more has failed; its users are told", () => {
  const bench = new Bench("crlf");
  bench.hold("tcp", "a");
  bench.hold("tcp", "b");
  for (let i = 0; i < 3; i++) {
    bench.clock.advance(PERIOD_MS);
    bench.keepAlives.answered({ type: "pong" }, flowOf("tcp"));
  }
  bench.clock.advance(PERIOD_MS);
  bench.keepAlives.heard(flowOf("tcp"));
  bench.clock.advance(PONG_MS);
  assert.deepEqual(bench.failures, [], "a SIP message is as good as a CRLF");
  bench.clock.advance(PERIOD_MS - PONG_MS);
  bench.clock.advance(PONG_MS - 1);
  assert.deepEqual(bench.failures, []);
  bench.clock.advance(1);
  assert.deepEqual(bench.failures, [
    "a: keep-alive timeout",
    "b: keep-alive timeout",
  ]);
  assert.deepEqual(bench.abandoned, [targetOf("tcp")]);
  assert.deepEqual(bench.log.lines, [
    "warn main flow to tcp 192.0.2.1:5060 lost (keep-alive timeout), re-registering",
  ]);
  bench.keepAlives[Symbol.dispose]();
  assert.equal(bench.clock.pending, 0);
});

Deno.test("keep_alive: over TCP nothing is sent or expected while there is no connection", () => {
  const bench = new Bench("crlf");
  bench.hold("tcp");
  bench.clock.advance(PERIOD_MS);
  bench.keepAlives.answered({ type: "pong" }, flowOf("tcp"));
  bench.connected = false;
  bench.clock.advance(10 * PERIOD_MS);
  assert.deepEqual([bench.sent.length, bench.failures], [1, []]);
  bench.keepAlives[Symbol.dispose]();
});

Deno.test("keep_alive: STUN: the same address is well, another one means that the NAT has forgotten us", () => {
  const bench = new Bench("stun");
  bench.hold("udp");
  for (const _ of [1, 2]) {
    bench.clock.advance(PERIOD_MS);
    bench.mapped(SEEN);
  }
  assert.deepEqual([bench.sent, bench.failures], [["stun@25.0", "stun@50.0"], []]);
  bench.clock.advance(PERIOD_MS);
  bench.mapped({ ...SEEN, port: 61000 });
  assert.deepEqual(bench.failures, ["a: it sees us at 203.0.113.7:61000 now, not at 203.0.113.7:5060"]);
  bench.clock.advance(PERIOD_MS);
  bench.mapped({ ...SEEN, port: 61000 });
  assert.equal(bench.failures.length, 1);
  bench.clock.advance(PERIOD_MS + 39_500);
  assert.deepEqual(bench.failures.slice(1), ["a: STUN timeout"]);
  bench.keepAlives[Symbol.dispose]();
  assert.equal(bench.clock.pending, 0);
});

Deno.test("keep_alive: a server without STUN gets CRLF instead, told once; stray answers change nothing", () => {
  const bench = new Bench("stun");
  bench.hold("udp");
  bench.keepAlives.answered({ type: "pong" }, flowOf("udp"));
  bench.keepAlives.answered({ type: "pong" }, {
    ...flowOf("udp"),
    remote: { hostname: "192.0.2.9", port: 1 },
  });
  bench.clock.advance(PERIOD_MS);
  const foreign = { type: "success" as const, id: "0".repeat(24), mapped: SEEN };
  bench.keepAlives.answered({ type: "stun", message: foreign }, flowOf("udp"));
  const { id } = bench.stun[0]!;
  const refusal = { type: "error" as const, id, code: 500, reason: "", unknown: [] };
  bench.keepAlives.answered({ type: "stun", message: refusal }, flowOf("udp"));
  bench.clock.advance(2 * PERIOD_MS);
  assert.deepEqual(bench.sent, ["stun@25.0", "crlf@25.0", "crlf@50.0", "crlf@75.0"]);
  assert.deepEqual(bench.log.lines, [
    "info main udp 192.0.2.1:5060 does not speak STUN: keep-alives are CRLF from now on",
  ]);
  assert.deepEqual(bench.failures, []);
  bench.keepAlives[Symbol.dispose]();
});

Deno.test("keep_alive: OPTIONS: whatever the answer, it is one; silence after answers is a failure", () => {
  const bench = new Bench("options");
  bench.hold("udp");
  for (const status of [200, 404, 401, 501]) {
    bench.clock.advance(PERIOD_MS);
    const { request, outlets } = bench.options.at(-1)!;
    outlets.response(createResponse(request, 100));
    outlets.response(createResponse(request, status));
  }
  assert.deepEqual([bench.sent.length, bench.failures], [4, []]);
  bench.clock.advance(PERIOD_MS);
  bench.options.at(-1)!.outlets.timeout();
  assert.deepEqual(bench.failures, ["a: OPTIONS timeout"]);
  bench.clock.advance(PERIOD_MS);
  bench.options.at(-1)!.outlets.transportError("no route");
  assert.equal(bench.failures.length, 1, "it has not answered since: left in peace");
  bench.clock.advance(PERIOD_MS);
  bench.keepAlives[Symbol.dispose]();
  bench.options.at(-1)!.outlets.timeout();
  assert.equal(bench.failures.length, 1, "nothing after the end");
  assert.equal(bench.clock.pending, 0);
});

Deno.test("keep_alive: nothing is kept open unless it is asked for", () => {
  assert.equal(NO_KEEP_ALIVE.method, "off");
});

Deno.test("keep_alive: a STUN answer made by our own server side is understood", () => {
  const bench = new Bench("stun");
  bench.hold("udp");
  bench.clock.advance(PERIOD_MS);
  const message = decodeStun(encodeStun(answerStun(bench.stun[0]!, SEEN)!));
  bench.keepAlives.answered({ type: "stun", message }, flowOf("udp"));
  bench.clock.advance(PERIOD_MS - 1);
  assert.deepEqual(bench.sent, ["stun@25.0"]);
  bench.keepAlives[Symbol.dispose]();
});
