// The rest is proved together with the other side of it, in carrier_test.ts.

import assert from "node:assert/strict";
import { silentLog } from "../../lib/base/log.ts";
import { systemClock } from "../../lib/base/clock.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import { connectTcp } from "../../lib/net/tcp.ts";
import { homeDoor } from "../../lib/workers/home_door.ts";
import { encodePreface } from "../../lib/workers/preface.ts";

Deno.test("home door: a client is whom the preface names, and begins right behind it", async () => {
  const stop = new AbortController();
  const listening = Promise.withResolvers<Endpoint>();
  const options = {
    secret: "s",
    limits: {},
    clock: systemClock,
    log: silentLog,
    onListening: listening.resolve,
  };
  const door = homeDoor(options, stop.signal);
  const first = door.next();
  const at = await listening.promise;
  assert.equal(at.hostname, "127.0.0.1");
  using worker = await connectTcp(at);
  const client = { hostname: "2001:db8::9", port: 999 };
  const line = encodePreface("s", client);
  worker.put(line.subarray(0, 9)); // in pieces
  await worker.flush(1000);
  worker.put(line.subarray(9));
  worker.put(Uint8Array.of(3, 1, 2));
  const { value } = await first;
  assert.ok(value);
  assert.deepEqual(value.peer, client);
  const into = new Uint8Array(2);
  let text = "";
  while (text.length < 3) text += into.subarray(0, await value.read(into) ?? assert.fail()).join("");
  assert.equal(text, "312");
  value.put(Uint8Array.of(9));
  assert.equal(await worker.read(into), 1);
  assert.equal(into[0], 9);
  value.close();
  stop.abort();
  assert.equal((await door.next()).done, true);
});
