import fc from "fast-check";
import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../lib/base/bytes.ts";
import { TransportError, WireError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import {
  type HandshakeOptions,
  initiateHandshake,
  policyFile,
  ReadBuffer,
  receiveHandshake,
  recognise,
} from "../../lib/rtmp/handshake_io.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type PipeEnd, pipePair, readBytes } from "../support/pipe.ts";

function optionsFor(stream: PipeEnd): HandshakeOptions {
  return { stream, input: new ReadBuffer(stream), clock: new FakeClock(), random: seededRandom(1) };
}

for (const scheme of [null, 0, 1] as const) {
  for (const maxRead of [1, 1000, 100_000]) {
    Deno.test(`handshake: scheme ${scheme}, ${maxRead} bytes at a time, what follows is kept`, async () => {
      const [client, server] = pipePair({ maxRead });
      const serverOptions = optionsFor(server);
      const clientOptions = optionsFor(client);
      const received = receiveHandshake(serverOptions);
      await initiateHandshake(clientOptions, scheme);
      client.put(encodeUtf8("chunks"));
      assert.equal(await received, "ready");
      await serverOptions.input.need(6);
      assert.equal(decodeUtf8(serverOptions.input.view()), "chunks");
      assert.equal(clientOptions.input.length, 0);
      client.close();
      server.close();
    });
  }
}

Deno.test("handshake: a policy file is sent, with the real port", async () => {
  const [client, server] = pipePair({ maxRead: 5 });
  client.put(encodeUtf8("<policy-file-request/>\0"));
  const reading = readBytes(client);
  assert.equal(await receiveHandshake(optionsFor(server)), "policy");
  server.close();
  const text = decodeUtf8(await reading);
  assert.equal(text, decodeUtf8(policyFile(server.local.port)));
  assert.match(text, /<allow-access-from domain="\*" to-ports="\d+" secure="false"\/>.*\0$/);
  client.close();
});

Deno.test("handshake: other protocols are refused at their first byte", async () => {
  for (const hello of ["GET / HTTP/1.1\r\n\r\n", "\x06", "\x16\x03\x01", "\0"]) {
    const [client, server] = pipePair();
    client.put(encodeUtf8(hello));
    const refused = assert.rejects(receiveHandshake(optionsFor(server)), WireError);
    if (hello.startsWith("\x16")) client.close(); // it has read the alert
    await refused;
    client.close();
    server.close();
  }
});

Deno.test("handshake: a client that leaves is no error, wherever it leaves", async () => {
  const texts = [
    "",
    "<policy",
    "<policy-file-request/>X",
    "\x03",
    "\x03".padEnd(1536, "x"),
    "\x03".padEnd(2000, "x"),
  ];
  for (const text of texts) {
    const [client, server] = pipePair();
    client.put(encodeUtf8(text));
    await client.flush(1000);
    client.close();
    assert.equal(await receiveHandshake(optionsFor(server)), "left", JSON.stringify(text.slice(0, 30)));
    server.close();
  }
});

Deno.test("handshake: a server that leaves or speaks otherwise is an error to the client", async () => {
  const [client, server] = pipePair();
  server.close();
  await assert.rejects(initiateHandshake(optionsFor(client), 0), TransportError);
  const [second, other] = pipePair();
  other.put(encodeUtf8("HTTP/1.1 400 Bad Request\r\n".padEnd(3073)));
  await assert.rejects(initiateHandshake(optionsFor(second), 0), WireError);
  for (const end of [client, second, other]) end.close();
});

const SIP = "OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nf: <sip:b@h>;tag=1\r\n" +
  "To: <sip:a@h>\r\nSubject: x\r\nCall-ID: c1\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n";
const SENTENCE = /\r\n\r\nThis is an RTMP port: connect to it with an rtmp:\/\/ address\.\n$/;

const TABLE: [text: string, what: RegExp, reply: RegExp | null][] = [
  [
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    /^not RTMP but HTTP \(GET \/ HTTP\/1\.1\), answered with 400$/,
    SENTENCE,
  ],
  ["POST /open/1 HTTP/1.0\r\nContent-Length: 1\r\n\r\nx", /HTTP \(POST/, SENTENCE],
  ["PUT /a HTTP/1.1\nHost: h\n\n", /HTTP \(PUT/, SENTENCE],
  ["OPTIONS * HTTP/1.1\r\n\r\n", /HTTP \(OPTIONS/, SENTENCE],
  ["PROPFIND /a HTTP/1.1\r\n\r\n", /HTTP \(PROPFIND/, SENTENCE],
  ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /HTTP \(PRI/, SENTENCE],
  ["GET /\r\n\r\n", /HTTP \(GET \/\)/, SENTENCE],
  [
    "HEAD / HTTP/1.1\r\n\r\n",
    /HTTP \(HEAD/,
    /^HTTP\/1\.1 400 Bad Request\r\n[^]*Content-Length: [1-9]\d*\r\n[^]*\r\n\r\n$/,
  ],
  [
    SIP,
    /^not RTMP but SIP \(OPTIONS sip:a@h SIP\/2\.0\)/,
    /^SIP\/2\.0 400 .*\r\nVia: .*\r\nf: .*\r\nTo: .*\r\nCall-ID: c1\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n$/,
  ],
  ["OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 3\r\n\r\n", /RTSP/, /^RTSP\/1\.0 400 Bad Request\r\nCSeq: 3\r\n/],
  ["EHLO there\r\n\r\n", /^not RTMP but text of another protocol \(EHLO there\)$/, null],
  ["\x16\x03\x01\x02\x00\x01", /TLS, which this port does not speak/, /^.{7}$/s],
  ["\x06", /RTMPE/, null],
  ["\x08", /RTMPE/, null],
  ["\x00", /version 0: not RTMP/, null],
  ["\r\n\r\n", /version 13: not RTMP/, null],
];

for (const [text, what, reply] of TABLE) {
  Deno.test(`on the RTMP port: ${JSON.stringify(text.slice(0, 30))}`, () => {
    const found = recognise(encodeUtf8(text), false);
    assert.ok(found !== null);
    assert.match(found.what, what);
    if (reply === null) assert.equal(found.reply, null);
    else assert.match(decodeUtf8(found.reply ?? new Uint8Array()), reply);
  });
}

Deno.test("a request comes in pieces: nothing is said before its head is whole, or it ends, or is too long", () => {
  for (const text of ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", SIP]) {
    for (let length = 1; length < text.length; length++) {
      const found = recognise(encodeUtf8(text.slice(0, length)), false);
      assert.equal(found === null, length < text.length, `${length}`);
    }
    assert.equal(recognise(encodeUtf8(text), false)?.more, false);
  }
  assert.ok(recognise(encodeUtf8("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n"), false)?.more);
  assert.ok(recognise(encodeUtf8("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), false)?.more);
  assert.match(recognise(encodeUtf8("GET / HT"), true)?.what ?? "", /HTTP/);
  assert.ok(recognise(encodeUtf8(`GET /${"x".repeat(5000)}`), false)?.more);
});

Deno.test("whatever comes, the log gets one short line and the answer is bounded", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 5000 }), fc.boolean(), (bytes, ended) => {
    const found = recognise(bytes, ended);
    assert.ok(found === null || found.what.length < 150 && (found.reply?.length ?? 0) < 8192);
  }));
});

function counting(length: number): Uint8Array {
  return new Uint8Array(length).map((_, at) => at * 7);
}

Deno.test("read buffer: bytes come out as they went in, however they are consumed", async () => {
  for (const maxRead of [1, 100, 70_000]) {
    const [near, far] = pipePair({ maxRead, window: 1 << 20 });
    const sent = counting(50_000);
    near.put(sent);
    await near.flush(1000);
    near.close();
    const buffer = new ReadBuffer(far);
    const got: number[] = [];
    for (let turn = 0; await buffer.fill(); turn++) {
      const count = turn % 3 === 0 ? Math.floor(buffer.length / 2) : buffer.length;
      got.push(...buffer.view().subarray(0, count));
      buffer.consume(count);
    }
    got.push(...buffer.view());
    assert.deepEqual(Uint8Array.from(got), sent);
    far.close();
  }
});

Deno.test("read buffer: need() waits for enough, and says when the end comes first", async () => {
  const [near, far] = pipePair({ maxRead: 10 });
  const buffer = new ReadBuffer(far);
  near.put(counting(100));
  assert.equal(await buffer.need(64), true);
  assert.ok(buffer.length >= 64);
  await near.flush(1000);
  near.close();
  assert.equal(await buffer.need(101), false);
  assert.equal(buffer.length, 100);
  far.close();
});

Deno.test("read buffer: is small at first and grows only while reads fill it", async () => {
  const [near, far] = pipePair({ window: 1 << 20 });
  const buffer = new ReadBuffer(far);
  near.put(counting(200_000));
  await near.flush(1000);
  const sizes: number[] = [];
  for (let total = 0; total < 200_000;) {
    await buffer.fill();
    sizes.push(buffer.length);
    total += buffer.length;
    buffer.consume(buffer.length);
  }
  assert.deepEqual(sizes.slice(0, 5), [4096, 8192, 16384, 32768, 65536]);
  assert.ok(Math.max(...sizes) <= 65536);
  near.close();
  far.close();
});

Deno.test("read buffer: shrinks when told, and when reads leave most of it unused for long", async () => {
  const [near, far] = pipePair({ window: 1 << 20 });
  const buffer = new ReadBuffer(far);
  const receive = async (count: number): Promise<void> => {
    near.put(counting(count));
    for (let got = 0; got < count;) {
      await buffer.fill();
      got += buffer.length;
      buffer.consume(buffer.length);
    }
  };
  assert.equal(buffer.capacity, 4096);
  buffer.shrink();
  assert.equal(buffer.capacity, 512);
  await receive(40_000);
  const grown = buffer.capacity;
  assert.ok(grown >= 8192);
  for (let i = 0; i < 2000; i++) await receive(170);
  assert.equal(buffer.capacity, 512);
  near.put(counting(100));
  await buffer.fill();
  buffer.consume(40);
  buffer.shrink();
  assert.deepEqual(buffer.view(), counting(100).subarray(40), "what waits to be consumed stays");
  near.close();
  far.close();
});

Deno.test("read buffer: a broken stream is an error", async () => {
  const [near, far] = pipePair();
  far.readsUntilFailure = 0;
  await assert.rejects(new ReadBuffer(far).fill(), /planned/);
  near.close();
  far.close();
});
