import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { SocketStream } from "../../lib/net/byte_stream.ts";

const AT = { peer: { hostname: "192.0.2.1", port: 9 }, local: { hostname: "192.0.2.2", port: 8 } };

/** A socket that writes when it is told to. */
class SlowSocket extends SocketStream {
  readonly log: string[] = [];
  finish: (outcome: number | Error) => void = () => {};

  constructor(limits = {}) {
    super(AT, limits);
  }

  write(bytes: Uint8Array): Promise<number> {
    this.log.push(`write ${bytes.length}`);
    return new Promise((resolve, reject) => {
      this.finish = (outcome) => typeof outcome === "number" ? resolve(outcome) : reject(outcome);
    });
  }

  read(): Promise<null> {
    return this.readAfterEnd();
  }

  protected closeSocket(allSent: boolean): void {
    this.log.push(allSent ? "close, all sent" : "close");
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("socket stream: what was written is not unsent; closing closes the socket once", async () => {
  const stream = new SlowSocket();
  assert.ok(stream.put(new Uint8Array(10)));
  assert.equal(stream.unsent, 10);
  stream.finish(10);
  await turn();
  assert.deepEqual([stream.unsent, await stream.flush(1)], [0, true]);
  stream.close();
  stream[Symbol.dispose]();
  assert.deepEqual(stream.log, ["write 10", "close, all sent"]);
  assert.deepEqual([stream.closed, stream.put(new Uint8Array(1)), await stream.read()], [true, false, null]);
});

Deno.test("socket stream: closed with something unsent, the socket is told", async () => {
  const stream = new SlowSocket();
  stream.put(new Uint8Array(10));
  stream.close();
  assert.deepEqual(stream.log, ["write 10", "close"]);
  stream.finish(10);
  await turn();
});

Deno.test("socket stream: a peer too slow, and a write that fails, end it; the next read says so, once", async () => {
  const slow = new SlowSocket({ hardUnsent: 100 });
  slow.put(new Uint8Array(90));
  assert.equal(slow.put(new Uint8Array(20)), false);
  assert.ok(slow.closed);
  await assert.rejects(slow.read(), {
    code: "timeout",
    message: /192\.0\.2\.1:9 is too slow: 90 bytes unsent/,
  });
  assert.equal(await slow.read(), null);
  slow.finish(90);
  const broken = new SlowSocket();
  broken.put(new Uint8Array(1));
  broken.finish(new TransportError("the cable is cut", "closed"));
  await turn();
  assert.ok(broken.closed);
  await assert.rejects(broken.read(), /the cable is cut/);
});
