import assert from "node:assert/strict";
import { WireError } from "../../lib/base/errors.ts";
import { parseRtmpUrl } from "../../lib/rtmp/url.ts";

const GOOD: [string, string, number, string][] = [
  ["rtmp://localhost/sip/alice@localhost", "localhost", 1935, "sip/alice@localhost"],
  ["rtmp://127.0.0.1:1936/live", "127.0.0.1", 1936, "live"],
  ["RTMP://gw.example.net/live?key=1", "gw.example.net", 1935, "live?key=1"],
  ["rtmp://[::1]:1936/sip/a@b", "::1", 1936, "sip/a@b"],
  ["rtmp://host", "host", 1935, ""],
  ["rtmp://host/", "host", 1935, ""],
];

for (const [text, hostname, port, app] of GOOD) {
  Deno.test(`RTMP URL ${text}`, () => {
    assert.deepEqual(parseRtmpUrl(` ${text} `), { hostname, port, app, tcUrl: text });
  });
}

for (
  const text of [
    "",
    "http://host/a",
    "rtmp://",
    "rtmp:///app",
    "rtmp://h:0/a",
    "rtmp://h:65536/a",
    "rtmp://a b/c",
  ]
) {
  Deno.test(`no RTMP URL: "${text}"`, () => assert.throws(() => parseRtmpUrl(text), WireError));
}
