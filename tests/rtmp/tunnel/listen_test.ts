import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { TransportError } from "../../../lib/base/errors.ts";
import { Mailbox } from "../../../lib/base/mailbox.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import type { ByteStream } from "../../../lib/net/tcp.ts";
import { listenRtmpt, type RtmptOptions } from "../../../lib/rtmp/tunnel/listen.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { type PipeEnd, pipePair, readBytes } from "../../support/pipe.ts";
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

Deno.test("a stranger gets 400 and the end, a broken client the end; both alone", async () => {
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
