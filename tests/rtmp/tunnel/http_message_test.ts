import fc from "fast-check";
import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { WireError } from "../../../lib/base/errors.ts";
import {
  encodeResponseHead,
  findHttpHeadEnd,
  MAX_HEAD_BYTES,
  parseRequestHead,
  parseTunnelPath,
  type RequestHead,
  type TunnelRequest,
} from "../../../lib/rtmp/tunnel/http_message.ts";

const HEAD: RequestHead = {
  method: "POST",
  path: "/send/k3x9/7",
  contentLength: 0,
  keepAlive: true,
  expectsContinue: false,
};

const lines = (...all: string[]): Uint8Array => encodeUtf8([...all, "", ""].join("\r\n"));

Deno.test("heads of requests", () => {
  const table: [Uint8Array, RequestHead][] = [
    [lines("POST /send/k3x9/7 HTTP/1.1", "Content-Length: 1537"), { ...HEAD, contentLength: 1537 }],
    [lines("POST /send/k3x9/7 HTTP/1.1", "content-LENGTH:12", "X: a:b"), { ...HEAD, contentLength: 12 }],
    [lines("POST /send/k3x9/7?x=/y HTTP/1.1", "Connection: close"), { ...HEAD, keepAlive: false }],
    [lines("POST http://gw.example:80/send/k3x9/7 HTTP/1.0"), { ...HEAD, keepAlive: false }],
    [lines("POST /send/k3x9/7 HTTP/1.0", "Connection: Keep-Alive"), HEAD],
    [lines("POST /send/k3x9/7 HTTP/1.1", "Expect: 100-continue"), { ...HEAD, expectsContinue: true }],
    [encodeUtf8("GET /crossdomain.xml HTTP/1.1\n\n"), { ...HEAD, method: "GET", path: "/crossdomain.xml" }],
  ];
  for (const [bytes, expected] of table) {
    assert.equal(findHttpHeadEnd(bytes), bytes.length);
    assert.deepEqual(parseRequestHead(bytes), expected, decodeUtf8(bytes));
  }
});

Deno.test("a head is found wherever it is cut, and not before", () => {
  const bytes = lines("POST /open/1 HTTP/1.1", "Content-Length: 1");
  for (let cut = 0; cut < bytes.length; cut++) assert.equal(findHttpHeadEnd(bytes.subarray(0, cut)), -1);
  assert.equal(findHttpHeadEnd(Uint8Array.of(...bytes, 0x0a, 0x0a)), bytes.length);
});

Deno.test("what is no usable request is a WireError", () => {
  const table: [Uint8Array, RegExp][] = [
    [encodeUtf8("\x03 not http\r\n\r\n"), /first line/],
    [lines("POST /a HTTP/2.0"), /first line/],
    [lines("POST /a b HTTP/1.1"), /first line/],
    [lines("POST /a HTTP/1.1", "no colon"), /without a name/],
    [lines("POST /a HTTP/1.1", "Content-Length : 5"), /without a name/],
    [lines("POST /a HTTP/1.1", "Content-Length: 5", "Content-Length: 6"), /two Content-Length/],
    [lines("POST /a HTTP/1.1", "Content-Length: -5"), /not a number/],
    [lines("POST /a HTTP/1.1", "Content-Length: 5000000"), /5000000 bytes/],
    [lines("POST /a HTTP/1.1", "Transfer-Encoding: chunked"), /without Content-Length/],
  ];
  for (const [bytes, message] of table) {
    assert.throws(() => parseRequestHead(bytes), (error) => {
      assert.ok(error instanceof WireError);
      assert.match(error.message, message);
      return true;
    });
  }
  const endless = new Uint8Array(MAX_HEAD_BYTES + 1).fill(0x41);
  assert.throws(() => findHttpHeadEnd(endless), /exceeds 8192 bytes/);
  assert.equal(findHttpHeadEnd(endless.subarray(1)), -1);
});

Deno.test("any bytes are a head or a WireError", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string().map((fields) => `POST /open/1 HTTP/1.1\r\n${fields}`),
  );
  fc.assert(fc.property(text, (head) => {
    try {
      const { contentLength } = parseRequestHead(encodeUtf8(head));
      assert.ok(contentLength >= 0 && contentLength <= 4 * 1024 * 1024);
    } catch (error) {
      assert.ok(error instanceof WireError);
    }
  }));
});

Deno.test("heads of answers", () => {
  assert.equal(
    decodeUtf8(encodeResponseHead(200, 25, true)),
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-fcs\r\nContent-Length: 25\r\n" +
      "Cache-Control: no-cache\r\nConnection: Keep-Alive\r\n\r\n",
  );
  assert.match(
    decodeUtf8(encodeResponseHead(405, 0, false)),
    /^HTTP\/1\.1 405 Method Not Allowed\r\n.*Allow: POST\r\nConnection: close\r\n\r\n$/s,
  );
  assert.equal(decodeUtf8(encodeResponseHead(100, 0, true)), "HTTP/1.1 100 Continue\r\n\r\n");
});

Deno.test("paths of the tunnel", () => {
  const table: [string, TunnelRequest][] = [
    ["/open/1", { type: "open" }],
    ["/open", { type: "open" }],
    ["/send/k3x9/0", { type: "send", session: "k3x9", sequence: 0 }],
    ["/idle/K3x9/4294967295", { type: "idle", session: "K3x9", sequence: 4294967295 }],
    ["/close/a/12", { type: "close", session: "a", sequence: 12 }],
    ["/fcs/ident2", { type: "unknown" }],
    ["/fcs/ident", { type: "unknown" }],
    ["/send/k3x9", { type: "unknown" }],
    ["/send/../1", { type: "unknown" }],
    ["/send/k3x9/-1", { type: "unknown" }],
    ["/send/k3x9/1/2", { type: "unknown" }],
    ["/", { type: "unknown" }],
    ["", { type: "unknown" }],
  ];
  for (const [path, expected] of table) assert.deepEqual(parseTunnelPath(path), expected, path);
});

Deno.test("any path is something or unknown", () => {
  fc.assert(fc.property(fc.string(), (path) => {
    const { type } = parseTunnelPath(path);
    assert.ok(["open", "send", "idle", "close", "unknown"].includes(type));
  }));
});
