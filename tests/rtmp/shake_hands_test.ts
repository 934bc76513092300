import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../lib/base/bytes.ts";
import { TransportError, WireError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { ReadBuffer } from "../../lib/rtmp/read_buffer.ts";
import {
  initiateHandshake,
  policyFile,
  receiveHandshake,
  type ShakeHandsOptions,
} from "../../lib/rtmp/shake_hands.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type PipeEnd, pipePair, readBytes } from "../support/pipe.ts";

function optionsFor(stream: PipeEnd): ShakeHandsOptions {
  return { stream, input: new ReadBuffer(stream), clock: new FakeClock(), random: seededRandom(1) };
}

for (const scheme of [null, 0, 1] as const) {
  for (const maxRead of [1, 1000, 100_000]) {
    Deno.test(`shake hands: scheme ${scheme}, ${maxRead} bytes at a time, what follows is kept`, async () => {
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

Deno.test("shake hands: a policy file is sent, with the real port", async () => {
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

Deno.test("shake hands: strangers are refused at their first byte", async () => {
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

Deno.test("shake hands: a client that leaves is no error, wherever it leaves", async () => {
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

Deno.test("shake hands: a server that leaves or speaks otherwise is an error to the client", async () => {
  const [client, server] = pipePair();
  server.close();
  await assert.rejects(initiateHandshake(optionsFor(client), 0), TransportError);
  const [second, other] = pipePair();
  other.put(encodeUtf8("HTTP/1.1 400 Bad Request\r\n".padEnd(3073)));
  await assert.rejects(initiateHandshake(optionsFor(second), 0), WireError);
  for (const end of [client, second, other]) end.close();
});
