import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { TransportError, WireError } from "../../../lib/base/errors.ts";
import { HttpConnection } from "../../../lib/rtmp/tunnel/http_connection.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { type PipeEnd, type PipeOptions, pipePair, readBytes } from "../../support/pipe.ts";

function open(options: PipeOptions = {}): { client: PipeEnd; server: HttpConnection; clock: FakeClock } {
  const [client, end] = pipePair(options);
  const clock = new FakeClock();
  return { client, server: new HttpConnection(end, clock), clock };
}

const request = (path: string, body: string): Uint8Array =>
  encodeUtf8(`POST ${path} HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`);

for (const maxRead of [1, 7, 100_000]) {
  Deno.test(`requests one behind the other, read ${maxRead} bytes at a time`, async () => {
    const { client, server } = open({ maxRead });
    for (const n of [1, 2, 3]) client.put(request(`/send/a/${n}`, "x".repeat(n * 30)));
    client.put(request("/idle/a/4", ""));
    for (const n of [1, 2, 3]) {
      const next = await server.next();
      assert.equal(next?.head.path, `/send/a/${n}`);
      assert.equal(decodeUtf8(next.body), "x".repeat(n * 30));
    }
    assert.equal((await server.next())?.head.path, "/idle/a/4");
    client.close();
    assert.equal(await server.next(), null);
    assert.equal(server.idle, true);
  });
}

Deno.test("a large body arrives whole, and its memory is given back", async () => {
  const { client, server } = open({ hardUnsent: 8_000_000 });
  const body = "0123456789".repeat(300_000);
  client.put(request("/send/a/1", body));
  const next = await server.next();
  assert.equal(decodeUtf8(next!.body), body);
  client.put(request("/send/a/2", "small"));
  assert.equal(decodeUtf8((await server.next())!.body), "small");
  server.stream.close();
});

Deno.test("answers, and the go-ahead for a client that asks first", async () => {
  const { client, server } = open();
  client.put(encodeUtf8("POST /open/1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
  const waiting = server.next();
  assert.equal(decodeUtf8(await readBytes(client, 25)), "HTTP/1.1 100 Continue\r\n\r\n");
  client.put(Uint8Array.of(0));
  assert.deepEqual((await waiting)?.body, Uint8Array.of(0));
  server.respond(200, encodeUtf8("abc\n"), false);
  await server.stream.flush(1000);
  server.stream.close();
  assert.match(decodeUtf8(await readBytes(client)), /^HTTP\/1\.1 200 OK\r\n.*close\r\n\r\nabc\n$/s);
});

Deno.test("a request that ends midway, one that is none, and a broken connection", async () => {
  for (
    const bytes of ["POST /op", "POST /open/1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", "\x03garbage\n\n"]
  ) {
    const { client, server } = open();
    client.put(encodeUtf8(bytes));
    await client.flush(1000);
    client.close();
    await assert.rejects(server.next(), WireError);
    assert.equal(server.idle, false);
  }
  const { server, client } = open();
  (server.stream as PipeEnd).readsUntilFailure = 0;
  await assert.rejects(server.next(), TransportError);
  client.close();
});

Deno.test("a request that takes too long closes the connection; so does none for a longer time", async () => {
  const begun = open();
  const waiting = begun.server.next();
  begun.clock.advance(59_000);
  begun.server.checkTime(begun.clock.now());
  begun.client.put(encodeUtf8("POST /op"));
  await begun.client.flush(1000);
  while (begun.server.idle) await Promise.resolve();
  begun.clock.advance(15_001);
  begun.server.checkTime(begun.clock.now());
  await assert.rejects(waiting, WireError);

  const silent = open();
  const nothing = silent.server.next();
  silent.clock.advance(60_001);
  silent.server.checkTime(silent.clock.now());
  assert.equal(await nothing, null);
});
