// What is masked, what is not, and in which time.

import assert from "node:assert/strict";
import { maskSecrets } from "../../lib/base/mask_secrets.ts";

const MASKED: [string, string][] = [
  [
    'Digest realm="r", response="6629fae49393a05397450978507c4ef1", uri="sip:a"',
    'Digest realm="r", response="****", uri="sip:a"',
  ],
  ["response=6629fae49393a05397450978507c4ef1", 'response="****"'],
  ['response = "abc"', 'response = "****"'],
  ["Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ****"],
  ["proxy-authorization: basic dXNlcjpwYXNz", "proxy-authorization: basic ****"],
  ["Authorization: Bearer eyJhbGciOi.J9.x-y", "Authorization: Bearer ****"],
  [
    "m=audio 1 RTP/SAVP 0\n    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZi|2^20|1:32\n",
    "m=audio 1 RTP/SAVP 0\n    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:****|2^20|1:32\n",
  ],
  ['connect to "sip/alice:secret@example.com:5070/x7"', 'connect to "sip/alice:****@example.com:5070/x7"'],
  ["rtmp://host/sip/alice:secret@example.com ...", "rtmp://host/sip/alice:****@example.com ..."],
  ["rtmp://host:1935/sip/alice@example.com:5070", "rtmp://host:1935/sip/alice@example.com:5070"],
  ["sip:alice:secret@example.com;transport=udp", "sip:alice:****@example.com;transport=udp"],
  ["<sips:alice:se:cret@[::1]:5061>", "<sips:alice:****@[::1]:5061>"],
  ["rtmp://bob:pw@host/sip/x", "rtmp://bob:****@host/sip/x"],
  ["rtmp://host:1935/sip/bob@example.com", "rtmp://host:1935/sip/bob@example.com"],
  ["sip:bob@example.com:5060", "sip:bob@example.com:5060"],
  ["password=hunter2&x=1", "password=****&x=1"],
  ['{"password": "a \\" b", "user": "u"}', '{"password": ****, "user": "u"}'],
  ["{ password: 'p', rate: 8000 }", "{ password: ****, rate: 8000 }"],
  ["passwd: hunter2", "passwd: ****"],
  ["password=\u2028x&y", "password=\u2028****&y"],
  ["password=x\u2028y&z", "password=****&z"],
  ['password="a\\\u2028b"', "password=****"],
  ['password="a\u2028b"; x', "password=****; x"],
  [`sip:alice:${"p".repeat(300)}@host`, "sip:alice:****@host"],
  [`rtmp://${"u".repeat(200)}:secret@host`, `rtmp://${"u".repeat(200)}:****@host`],
  ["sip:alice:pass\u2028word@host", "sip:alice:****@host"],
  ["\n\n\na=crypto:1 X inline:KEY1|2^20;inline:KEY2\n", "\n\n\na=crypto:1 X inline:****|2^20;inline:****\n"],
  ["a=crypto:1 \u2028 inline:KEY1", "a=crypto:1 \u2028 inline:****"],
  ["<sip:a:one@b>, <sip:c:two@d>", "<sip:a:****@b>, <sip:c:****@d>"],
  ["from sip:@host and sip::pw@host", "from sip:@host and sip::pw@host"],
  ["mailto:alice:x@host, 12:30@noon", "mailto:alice:x@host, 12:30@noon"],
  ["got a 200 response from 192.0.2.1", "got a 200 response from 192.0.2.1"],
  ["To: <sip:a@b>, From: <sip:c@d>", "To: <sip:a@b>, From: <sip:c@d>"],
];

Deno.test("maskSecrets hides what is secret and nothing else", () => {
  for (const [text, masked] of MASKED) assert.equal(maskSecrets(text), masked);
});

Deno.test("maskSecrets takes time in proportion to hostile text, not to its square", () => {
  for (
    const piece of [
      "sip:a:",
      "sip:",
      "password=",
      'response="',
      "a:b:c:",
      "a.a.a+a-",
      "rtmp://x:",
      "sip/a:",
      "a=crypto:inline:",
      "password   ",
      "\n",
      "\r",
      "\r\n",
      "\n ",
      "\u2028",
      "sip:a:b@",
      "//a:b@",
      '"password":"\\',
    ]
  ) {
    const timeMs = (length: number): number => {
      const text = piece.repeat(Math.floor(length / piece.length));
      const started = performance.now();
      maskSecrets(text);
      return performance.now() - started;
    };
    timeMs(8192);
    // The best of three: whatever else the machine does only adds.
    const bestMs = (length: number): number => Math.min(timeMs(length), timeMs(length), timeMs(length));
    const [short, long] = [bestMs(16384), bestMs(16 * 16384)];
    // 16 times the text: 16 times the time when linear, 256 times when quadratic.
    assert.ok(long < 50 * Math.max(short, 1), `${JSON.stringify(piece)}: ${short} ms, then ${long} ms`);
  }
});
