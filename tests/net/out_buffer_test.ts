// Whoever takes a buffer has it alone; what is given back is lent again, up to a bound.

import fc from "fast-check";
import assert from "node:assert/strict";
import { concatBytes } from "../../lib/base/bytes.ts";
import { TransportError } from "../../lib/base/errors.ts";
import {
  BufferPool,
  EndOfStream,
  isClosedHere,
  OutBuffer,
  type PooledBuffer,
  transportError,
} from "../../lib/net/out_buffer.ts";
import { settle } from "../support/fake_clock.ts";

Deno.test("a buffer is as long as was asked for, at most twice as long, and at least 512 bytes", () => {
  const pool = new BufferPool();
  for (
    const [asked, given] of [[1, 512], [512, 512], [513, 1024], [4096, 4096], [4097, 8192], [65536, 65536]]
  ) {
    assert.equal(pool.take(asked!).bytes.length, given);
  }
  assert.equal(pool.take(65537).bytes.length, 65537, "long ones are made to measure");
});

Deno.test("what is given back is lent again, to one at a time", () => {
  const pool = new BufferPool();
  const first = pool.take(100);
  const second = pool.take(100);
  assert.notEqual(first, second);
  pool.give(first);
  assert.equal(pool.keptBytes, 512);
  assert.equal(pool.take(512), first);
  assert.notEqual(pool.take(512), first);
  assert.equal(pool.lent, 3);
});

Deno.test("no two borrowers ever share bytes, and no more than half a MiB of each size is kept", () => {
  const step = fc.integer({ min: 1, max: 100_000 });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (sizes) => {
      const pool = new BufferPool();
      const lent: PooledBuffer[] = [];
      for (const size of sizes) {
        if (size % 3 === 0 && lent.length > 0) pool.give(lent.splice(size % lent.length, 1)[0]!);
        else lent.push(pool.take(size));
        assert.equal(new Set(lent).size, lent.length);
        assert.equal(pool.lent, lent.length);
      }
      assert.ok(lent.every((buffer) => buffer.bytes.length >= 512));
    }),
  );
  const pool = new BufferPool();
  const many = Array.from({ length: 20 }, () => pool.take(65536));
  for (const buffer of many) pool.give(buffer);
  assert.equal(pool.keptBytes, 512 * 1024);
});

Deno.test("a view of the same place is the same view", () => {
  const buffer = new BufferPool().take(600);
  const first = buffer.view(0, 170);
  assert.equal(buffer.view(0, 170), first);
  assert.equal(first.length, 170);
  const other = buffer.view(10, 170);
  assert.deepEqual([other.length, other.byteOffset], [160, 10]);
});

/** An output that holds each write until the test lets some of its bytes through. */
class HeldOutput {
  readonly written: Uint8Array[] = [];
  readonly overflows: number[] = [];
  readonly failures: unknown[] = [];
  writes = 0;
  #held: { bytes: Uint8Array; resolve: (count: number) => void; reject: (error: Error) => void } | null =
    null;

  get holding(): number {
    return this.#held?.bytes.length ?? 0;
  }

  get to(): this {
    return this;
  }

  write(bytes: Uint8Array): Promise<number> {
    assert.equal(this.#held, null, "a second write is in flight");
    this.writes++;
    return new Promise((resolve, reject) => this.#held = { bytes, resolve, reject });
  }

  overflow(unsent: number): void {
    this.overflows.push(unsent);
  }

  failed(error: unknown): void {
    this.failures.push(error);
  }

  /** Lets `count` bytes of the held write through, as they are at this moment. */
  async pass(count = Infinity): Promise<void> {
    const { bytes, resolve } = this.#held!;
    this.#held = null;
    const passed = bytes.slice(0, count);
    this.written.push(passed);
    resolve(passed.length);
    await settle();
  }

  async fail(): Promise<void> {
    const { reject } = this.#held!;
    this.#held = null;
    reject(new Error("broken pipe"));
    await settle();
  }

  get text(): string {
    return new TextDecoder().decode(concatBytes(this.written));
  }
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

Deno.test("what is put first leaves at once, and what is put during a write in one write behind it", async () => {
  const output = new HeldOutput();
  const buffer = new OutBuffer({}, output);
  assert.ok(buffer.put(bytesOf("abcd")));
  assert.equal(output.holding, 4);
  buffer.put(bytesOf("ef"));
  buffer.put(bytesOf("gh"));
  assert.equal(buffer.unsent, 8);
  await output.pass();
  assert.deepEqual([output.holding, buffer.unsent], [4, 4]);
  await output.pass();
  assert.deepEqual([output.text, buffer.unsent, output.writes], ["abcdefgh", 0, 2]);
});

Deno.test("partial writes go on where they stopped, and count as progress", async () => {
  const output = new HeldOutput();
  const buffer = new OutBuffer({}, output);
  buffer.put(bytesOf("abcdef"));
  await settle();
  await output.pass(2);
  assert.equal(buffer.unsent, 4);
  buffer.put(bytesOf("gh"));
  await output.pass(1);
  await output.pass();
  await output.pass();
  assert.equal(output.text, "abcdefgh");
});

Deno.test("put copies, and the bytes of a write in flight stay untouched", async () => {
  const output = new HeldOutput();
  const buffer = new OutBuffer({}, output);
  const reused = bytesOf("1111");
  buffer.put(reused);
  await settle();
  for (const digit of ["2", "3", "4"]) {
    reused.fill(digit.charCodeAt(0));
    buffer.put(reused);
    for (let i = 0; i < 2000; i++) buffer.put(reused);
    await output.pass();
  }
  await output.pass();
  assert.match(output.text, /^1{4}2{8004}3{8004}4{8004}$/);
});

Deno.test("any sequence of puts and passes comes out whole and in order", async () => {
  const step = fc.oneof(fc.uint8Array({ maxLength: 3000 }), fc.integer({ min: 1, max: 5000 }));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const output = new HeldOutput();
      const buffer = new OutBuffer({}, output);
      const put: Uint8Array[] = [];
      for (const step of steps) {
        if (typeof step === "number") {
          await settle();
          if (output.holding > 0) await output.pass(step);
        } else {
          put.push(step);
          buffer.put(step);
        }
      }
      await settle();
      while (output.holding > 0) await output.pass();
      assert.deepEqual(concatBytes(output.written), concatBytes(put));
      assert.equal(buffer.unsent, 0);
    }),
    { numRuns: 50 },
  );
});

Deno.test("above the soft mark put says false, above the hard mark the buffer gives up", async () => {
  const output = new HeldOutput();
  const buffer = new OutBuffer({ softUnsent: 10, hardUnsent: 20 }, output);
  assert.equal(buffer.put(new Uint8Array(10)), true);
  await settle();
  assert.equal(buffer.put(new Uint8Array(1)), false);
  assert.equal(buffer.put(new Uint8Array(9)), false);
  assert.equal(buffer.unsent, 20);
  assert.deepEqual(output.overflows, []);
  assert.equal(buffer.put(new Uint8Array(1)), false);
  assert.deepEqual(output.overflows, [20]);
  assert.equal(buffer.put(new Uint8Array(1)), false);
  assert.deepEqual(output.overflows, [20], "said once");
  await output.pass();
  assert.equal(output.writes, 1, "nothing more is written");
});

Deno.test("a failed write is told once and ends the buffer", async () => {
  const output = new HeldOutput();
  const buffer = new OutBuffer({}, output);
  buffer.put(bytesOf("ab"));
  await settle();
  const flushed = buffer.flush(60_000);
  await output.fail();
  assert.equal(output.failures.length, 1);
  assert.equal(await flushed, false);
  assert.equal(buffer.put(bytesOf("cd")), false);
});

Deno.test("a write that fails because the buffer was closed is not told", async () => {
  const output = new HeldOutput();
  const buffer = new OutBuffer({}, output);
  buffer.put(bytesOf("ab"));
  await settle();
  buffer.close();
  await output.fail();
  assert.deepEqual(output.failures, []);
});

Deno.test("flush waits for the last byte, ends false when closed, and leaves no timer", async () => {
  const output = new HeldOutput();
  const buffer = new OutBuffer({}, output);
  assert.equal(await buffer.flush(60_000), true);
  buffer.put(bytesOf("ab"));
  const both = Promise.all([buffer.flush(60_000), buffer.flush(60_000)]);
  await settle();
  await output.pass(1);
  await output.pass();
  assert.deepEqual(await both, [true, true]);
  buffer.put(bytesOf("cd"));
  const ended = buffer.flush(60_000);
  buffer.close();
  assert.equal(await ended, false);
  assert.equal(await buffer.flush(60_000), false);
});

Deno.test("flush gives up when time is up", async () => {
  const output = new HeldOutput();
  const buffer = new OutBuffer({}, output);
  buffer.put(bytesOf("ab"));
  assert.equal(await buffer.flush(1), false);
  assert.equal(buffer.unsent, 2);
});

Deno.test("memory is held only while something is unsent, also after a burst, a failure and a close", async () => {
  const output = new HeldOutput();
  const buffer = new OutBuffer({}, output);
  assert.equal(buffer.heldBytes, 0);
  buffer.put(bytesOf("abc"));
  assert.equal(buffer.heldBytes, 512);
  await settle();
  buffer.put(new Uint8Array(100_000));
  await output.pass();
  await output.pass();
  assert.deepEqual([buffer.unsent, buffer.heldBytes], [0, 0]);
  buffer.put(bytesOf("abc"));
  await settle();
  buffer.put(bytesOf("def"));
  await output.fail();
  assert.deepEqual([buffer.unsent, buffer.heldBytes], [6, 0], "lost, but told");
  const last = new HeldOutput();
  const closed = new OutBuffer({}, last);
  closed.put(bytesOf("abc"));
  closed.put(bytesOf("def"));
  closed.close();
  assert.equal(closed.unsent, 6);
  await last.pass();
  assert.deepEqual([closed.unsent, closed.heldBytes], [3, 0]);
});

Deno.test("bytes of a write in flight are nobody else's, even after a close", async () => {
  const [output, other] = [new HeldOutput(), new HeldOutput()];
  const buffer = new OutBuffer({}, output);
  buffer.put(bytesOf("first"));
  await settle();
  buffer.close();
  const neighbour = new OutBuffer({}, other);
  for (let i = 0; i < 5; i++) neighbour.put(bytesOf("xxxxx"));
  await settle();
  await output.pass();
  assert.equal(output.text, "first");
  await other.pass();
  await other.pass();
  assert.equal(other.text, "x".repeat(25));
});

Deno.test("an end is an end; a failure is told once, and is an end afterwards", () => {
  const end = new EndOfStream();
  assert.equal(end.told(), null);
  const failure = new TransportError("too slow", "timeout");
  end.failed(failure);
  assert.throws(() => end.told(), (error) => error === failure);
  assert.equal(end.told(), null);
});

Deno.test("each failure gets its code and a plain line", () => {
  const withErrno = (code: string): Error =>
    Object.assign(new Error("No route to host (os error 113)"), { code });
  const table: [unknown, TransportError["code"]][] = [
    [new Deno.errors.AddrInUse("x"), "addr-in-use"],
    [new Deno.errors.ConnectionRefused("x"), "refused"],
    [withErrno("EHOSTUNREACH"), "unreachable"],
    [new Deno.errors.NetworkUnreachable("x"), "unreachable"],
    [new Deno.errors.AddrNotAvailable("x"), "unreachable"],
    [new Deno.errors.TimedOut("x"), "timeout"],
    [new Deno.errors.ConnectionReset("x"), "closed"],
    [new Deno.errors.BrokenPipe("x"), "closed"],
    [new Deno.errors.BadResource("x"), "closed"],
    [new Deno.errors.PermissionDenied("x"), "failed"],
    [withErrno("EMFILE"), "failed"],
    ["a string", "failed"],
  ];
  for (const [error, code] of table) {
    const failure = transportError("Cannot do it", error);
    assert.equal(failure.code, code, String(error));
    assert.equal(failure.cause, error);
    assert.match(failure.message, /^Cannot do it: /);
  }
  assert.equal(transportError("Cannot go", withErrno("EHOSTUNREACH")).message, "Cannot go: No route to host");
});

Deno.test("a TransportError is passed on as it is", () => {
  const original = new TransportError("first", "timeout");
  assert.equal(transportError("second", original), original);
});

Deno.test("only what the runtime says of sockets closed here counts as closed here", () => {
  assert.ok(isClosedHere(new Deno.errors.Interrupted("x")));
  assert.ok(isClosedHere(new Deno.errors.BadResource("x")));
  assert.ok(!isClosedHere(new Deno.errors.ConnectionReset("x")));
  assert.ok(!isClosedHere("x"));
});
