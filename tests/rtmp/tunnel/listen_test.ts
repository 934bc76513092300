import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { TransportError, WireError } from "../../../lib/base/errors.ts";
import { Mailbox } from "../../../lib/base/mailbox.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import type { ByteStream } from "../../../lib/net/byte_stream.ts";
import { HttpConnection, listenRtmpt, type RtmptOptions } from "../../../lib/rtmp/tunnel/listen.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { type PipeEnd, type PipeOptions, pipePair, readBytes } from "../../support/pipe.ts";
import { RecordLog } from "../../support/record_log.ts";
import { HttpTestClient } from "../../support/rtmpt_client.ts";

class Bench {
  readonly clock = new FakeClock();
  readonly log = new RecordLog();
  readonly sessions: AsyncGenerator<ByteStream, void, void>;
  readonly #arriving = new Mailbox<ByteStream>(1000);

  constructor(options: Partial<RtmptOptions> = {}) {
    const environment = { clock: this.clock, log: this.log, random: seededRandom(1) };
    const listen = (signal: AbortSignal): AsyncIterable<ByteStream> => {
      signal.addEventListener("abort", () => this.#arriving.close(), { once: true });
      return this.#arriving;
    };
    this.sessions = listenRtmpt(listen, { maxSessions: 3, ...options }, environment);
  }

  connect(): { http: HttpTestClient; end: PipeEnd } {
    const [client, server] = pipePair();
    assert.ok(this.#arriving.push(server));
    return { http: new HttpTestClient(client), end: client };
  }

  stopListening(reason?: unknown): void {
    this.#arriving.close(reason);
  }

  async next(): Promise<ByteStream> {
    const { value } = await this.sessions.next();
    assert.ok(value);
    return value;
  }
}

Deno.test("a session: bytes both ways, the end from the client's side", async () => {
  const bench = new Bench();
  const opened = bench.next();
  const { http, end } = bench.connect();
  assert.equal((await http.post("/fcs/ident2")).status, 404);
  const name = await http.open();
  const session = await opened;
  assert.deepEqual(session.peer, end.local);

  const reading = readBytes(session, 3);
  session.put(Uint8Array.of(9, 8));
  const answer = http.post(`/send/${name}/0`, Uint8Array.of(1, 2, 3));
  assert.deepEqual(await reading, Uint8Array.of(1, 2, 3));
  bench.clock.advance(50);
  assert.deepEqual((await answer).body, Uint8Array.of(1, 9, 8));
  assert.match((await answer).head, /application\/x-fcs/);
  assert.deepEqual((await http.post(`/idle/${name}/1`)).body, Uint8Array.of(1), "idle carries no data");

  assert.equal((await http.post(`/close/${name}/2`)).status, 200);
  assert.equal(await session.read(new Uint8Array(1)), null);
  session.close();
  assert.equal((await http.post(`/idle/${name}/3`)).status, 404);
  await bench.sessions.return();
  assert.equal(await http.ended(), true);
});

Deno.test("a session goes on over another connection; other paths and methods are refused", async () => {
  const bench = new Bench();
  const opened = bench.next();
  const first = bench.connect();
  const name = await first.http.open();
  const session = await opened;
  first.end.close();
  const { http } = bench.connect();
  session.put(Uint8Array.of(5));
  assert.deepEqual((await http.post(`/idle/${name}/0`)).body, Uint8Array.of(1, 5));
  http.send("/open/1", undefined, "GET");
  assert.equal((await http.receive()).status, 405);
  for (const path of ["/", "/send/nobody/0", `/send/${name}`, "/fcs/ident"]) {
    assert.equal((await http.post(path)).status, 404, path);
  }
  await bench.sessions.return();
  assert.equal(await session.read(new Uint8Array(1)), null, "the listener took its sessions along");
});

Deno.test("another protocol gets 400 and is closed, a broken client is closed; the listener continues", async () => {
  const bench = new Bench();
  const opened = bench.next();
  const stranger = bench.connect();
  stranger.end.put(encodeUtf8("\x03RTMP without a tunnel\r\n\r\n"));
  assert.match(decodeUtf8(await readBytes(stranger.end)), /^HTTP\/1\.1 400 Bad Request/);
  const midway = bench.connect();
  midway.end.put(encodeUtf8("POST /open"));
  await midway.end.flush(1000);
  midway.end.close();
  const { http } = bench.connect();
  await http.open();
  (await opened).close();
  await bench.sessions.return();
});

Deno.test("more sessions than allowed are told 503 until one ends", async () => {
  const bench = new Bench({ maxSessions: 2 });
  const opened = bench.next();
  const { http } = bench.connect();
  await http.open();
  await http.open();
  assert.equal((await http.post("/open/1")).status, 503);
  assert.match(bench.log.lines.join("\n"), /refused: 2 sessions are the limit/);
  (await opened).close();
  await http.open();
  await bench.sessions.return();
});

Deno.test("a new connection takes the place of the one that was idle longest", async () => {
  const bench = new Bench({ maxSessions: 1 });
  const opened = bench.next();
  const clients = [bench.connect(), bench.connect(), bench.connect(), bench.connect()];
  for (const { http } of clients) assert.equal((await http.post("/x")).status, 404);
  assert.equal((await clients[0]!.http.post("/x")).status, 404);
  const { http } = bench.connect();
  await http.open();
  assert.equal(await clients[1]!.http.ended(), true);
  assert.equal((await clients[0]!.http.post("/x")).status, 404);
  (await opened).close();
  await bench.sessions.return();
});

Deno.test("a client that is gone ends after its silence, and so do idle connections", async () => {
  const bench = new Bench({ silenceMs: 5_000 });
  const opened = bench.next();
  const { http } = bench.connect();
  await http.open();
  const session = await opened;
  const ended = assert.rejects(
    session.read(new Uint8Array(1)),
    (error) => error instanceof TransportError && /asks no more$/.test(error.message),
  );
  for (let second = 0; second < 7; second++) {
    bench.clock.advance(1_000);
    await settle();
  }
  await ended;
  for (let second = 0; second < 60; second++) {
    bench.clock.advance(1_000);
    await settle();
  }
  assert.equal(await http.ended(), true);
  await bench.sessions.return();
  assert.equal(bench.clock.pending, 0);
});

Deno.test("when the listener ends the sessions go on, and the generator ends with the last", async () => {
  const bench = new Bench();
  const opened = bench.next();
  const { http } = bench.connect();
  const name = await http.open();
  const session = await opened;
  const done = bench.sessions.next();
  bench.stopListening();
  await settle();
  assert.equal((await http.post("/open/1")).status, 503, "no new ones");
  session.put(Uint8Array.of(4));
  const flushed = session.flush(1000);
  assert.deepEqual((await http.post(`/idle/${name}/0`)).body, Uint8Array.of(1, 4));
  assert.equal(await flushed, true);
  session.close();
  assert.equal((await done).done, true);
  assert.equal(await http.ended(), true);
});

Deno.test("a port that cannot be had is the generator's error", async () => {
  const bench = new Bench();
  bench.stopListening(new TransportError("Cannot listen on TCP 127.0.0.1:80", "addr-in-use"));
  await assert.rejects(bench.sessions.next(), /Cannot listen/);
});

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
