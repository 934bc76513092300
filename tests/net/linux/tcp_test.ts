// What only these connections have to be asked; what all of them do is in tcp_test.ts.

import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import type { Endpoint } from "../../../lib/net/endpoint.ts";
import { LinuxPoll } from "../../../lib/net/linux/calls.ts";
import { listenLinuxTcp } from "../../../lib/net/linux/tcp.ts";
import type { ByteStream } from "../../../lib/net/byte_stream.ts";
import { connectTcp } from "../../../lib/net/tcp.ts";
import { type CallName, HandledCalls } from "../../support/handled_calls.ts";
import { readBytes } from "../../support/pipe.ts";

const ignore = Deno.build.os !== "linux";
const ANYWHERE = { hostname: "127.0.0.1", port: 0 };

Deno.test({
  name: "a connection that nobody reads is left alone after a while, and read on when somebody does",
  ignore,
  fn: async () => {
    const hand = new HandledCalls();
    using poll = new LinuxPoll(hand.calls);
    const stop = new AbortController();
    const listening = Promise.withResolvers<Endpoint>();
    const listener = listenLinuxTcp(poll, ANYWHERE, {
      signal: stop.signal,
      onListening: listening.resolve,
    });
    const first = listener.next();
    using client = await connectTcp(await listening.promise);
    using server = (await first).value as ByteStream;
    client.put(Uint8Array.of(1, 2));
    assert.deepEqual(await readBytes(server, 1), Uint8Array.of(1));
    while (poll.size > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const before = hand.made.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(hand.made.length, before, "nothing is watched, nothing is asked");
    assert.deepEqual(await readBytes(server, 1), Uint8Array.of(2));
    stop.abort();
    await listener.return();
  },
});

/** Listens, is connected to, hears and answers; what went wrong, in words. */
async function converse(poll: LinuxPoll): Promise<string[]> {
  const troubles: string[] = [];
  const stop = new AbortController();
  const listening = Promise.withResolvers<Endpoint>();
  const serve = async (): Promise<void> => {
    const listener = listenLinuxTcp(poll, ANYWHERE, {
      signal: stop.signal,
      onListening: listening.resolve,
      onError: (error) => troubles.push(error.message),
    });
    for await (const server of listener) {
      using stream = server;
      stream.put(await readBytes(stream, 5));
      await stream.flush(1000);
      break;
    }
  };
  const served = serve().catch((error) => {
    assert.ok(error instanceof TransportError, error);
    troubles.push(error.message);
    listening.reject(error);
    stop.abort();
  });
  try {
    using client = await connectTcp(await listening.promise);
    client.put(new TextEncoder().encode("hello"));
    const answer = new TextDecoder().decode(await readBytes(client));
    if (answer !== "hello") troubles.push(`answered with ${answer.length} bytes`);
  } catch (error) {
    assert.ok(error instanceof TransportError, String(error));
  }
  stop.abort();
  await served;
  return troubles;
}

Deno.test({
  name: "whichever call fails, it is told in words, and nothing stays open",
  ignore,
  fn: async () => {
    const told: string[] = [];
    for (let k = 1;; k++) {
      const hand = new HandledCalls(k, 24);
      let troubles: string[];
      try {
        using poll = new LinuxPoll(hand.calls);
        troubles = await converse(poll);
      } catch (error) {
        assert.ok(error instanceof TransportError, String(error));
        troubles = [error.message];
      }
      assert.deepEqual(hand.files.take(), [], `call ${k}: ${hand.made}`);
      const failed = hand.made[k - 1];
      if (failed === undefined) {
        assert.deepEqual(troubles, []);
        break;
      }
      if (troubles.length > 0) told.push(failed);
      for (const text of troubles) {
        assert.match(
          text,
          /Too many open files(?:; accepting pauses: .*)?$|answered with 0 bytes$/,
        );
      }
    }
    for (
      const name of ["epollCreate", "socket", "bind", "listen", "accept", "epollControl", "recv", "send"]
    ) {
      assert.ok(told.includes(name as CallName), `${name} is not among ${told}`);
    }
  },
});
