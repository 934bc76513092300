// What only these connections have to be asked; what all of them do is in tcp_test.ts.

import assert from "node:assert/strict";
import type { Endpoint } from "../../../lib/net/endpoint.ts";
import { listenLinuxTcp } from "../../../lib/net/linux/listen.ts";
import { LinuxPoll } from "../../../lib/net/linux/poll.ts";
import { type ByteStream, connectTcp } from "../../../lib/net/tcp.ts";
import { HandledCalls } from "../../support/handled_calls.ts";
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
    const listener = listenLinuxTcp(() => poll, ANYWHERE, {
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
