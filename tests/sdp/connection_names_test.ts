import assert from "node:assert/strict";
import fc from "fast-check";
import { withAddresses } from "../../lib/sdp/connection_names.ts";
import { parseSdp } from "../../lib/sdp/description.ts";

const KNOWN: Readonly<Record<string, { 4?: string; 6?: string }>> = {
  "media.example.com": { 4: "192.0.2.5", 6: "2001:db8::5" },
  "media_1.example.com": { 4: "192.0.2.6" },
  "localhost": { 4: "127.0.0.1", 6: "::1" },
  "six.example.com": { 6: "2001:db8::6" },
};

const asked: string[] = [];
const lookUp = (name: string, family: 4 | 6): Promise<string | null> => {
  asked.push(`${name} ${family}`);
  return Promise.resolve(KNOWN[name]?.[family] ?? KNOWN[name]?.[family === 4 ? 6 : 4] ?? null);
};

async function resolved(text: string): Promise<string> {
  return new TextDecoder().decode(await withAddresses(new TextEncoder().encode(text), lookUp));
}

const TABLE: readonly (readonly [line: string, becomes: string])[] = [
  ["c=IN IP4 media.example.com", "c=IN IP4 192.0.2.5"],
  ["c=IN IP4 Media.Example.COM", "c=IN IP4 192.0.2.5"],
  ["c=IN IP6 media.example.com", "c=IN IP6 2001:db8::5"],
  ["c=IN IP4 six.example.com", "c=IN IP6 2001:db8::6"],
  ["c=IN IP6 media_1.example.com", "c=IN IP4 192.0.2.6"],
  ["c=in ip4 localhost", "c=IN IP4 127.0.0.1"],
  ["c=IN  IP4\tlocalhost ", "c=IN IP4 127.0.0.1"],
  ["c=IN IP4 localhost/127", "c=IN IP4 127.0.0.1"],
  ["a=rtcp:4001 IN IP4 media.example.com", "a=rtcp:4001 IN IP4 192.0.2.5"],
  ["a=rtcp:4001 IN IP6 localhost", "a=rtcp:4001 IN IP6 ::1"],
  // What stays.
  ["c=IN IP4 nobody.example.com", "c=IN IP4 nobody.example.com"],
  ["c=IN IP4 192.0.2.9", "c=IN IP4 192.0.2.9"],
  ["c=IN IP6 2001:db8::9", "c=IN IP6 2001:db8::9"],
  ["c=IN IP4 0.0.0.0", "c=IN IP4 0.0.0.0"],
  ["c=IN IP4", "c=IN IP4"],
  ["c=IN IP4 a,b", "c=IN IP4 a,b"],
  ["c=ATM X localhost", "c=ATM X localhost"],
  ["a=rtcp:4001", "a=rtcp:4001"],
  ["a=rtcp-mux", "a=rtcp-mux"],
  ["o=- 1 1 IN IP4 localhost", "o=- 1 1 IN IP4 localhost"],
];

for (const [line, becomes] of TABLE) {
  for (const end of ["\r\n", "\n"]) {
    Deno.test(`connection names: ${JSON.stringify(line + end)}`, async () => {
      const around = (text: string) => ["v=0", "s=-", text, "m=audio 4000 RTP/AVP 0", ""].join(end);
      assert.equal(await resolved(around(line)), around(becomes));
    });
  }
}

Deno.test("connection names: each level of a description has its own", async () => {
  const text = [
    "v=0",
    "o=- 1 1 IN IP4 x",
    "s=-",
    "c=IN IP4 media.example.com",
    "t=0 0",
    "m=audio 4000 RTP/AVP 0",
    "a=rtcp:5001 IN IP4 localhost",
    "m=video 4002 RTP/AVP 99",
    "c=IN IP6 media.example.com",
    "",
  ].join("\r\n");
  const { connection, media } = parseSdp(await resolved(text));
  assert.equal(connection, "192.0.2.5");
  assert.deepEqual(media.map((section) => [section.connection, section.rtcpAddress]), [
    [null, "127.0.0.1"],
    ["2001:db8::5", null],
  ]);
});

Deno.test("connection names: one question for each name, four at most, none for addresses", async () => {
  asked.length = 0;
  await resolved("v=0\nc=IN IP4 localhost\nm=audio 1 RTP/AVP 0\nc=IN IP4 localhost\nc=IN IP4 1.2.3.4\n");
  assert.deepEqual(asked, ["localhost 4"]);
  asked.length = 0;
  await resolved(Array.from({ length: 500 }, (_, i) => `c=IN IP4 host${i}.example.com`).join("\n"));
  assert.equal(asked.length, 4);
});

Deno.test("connection names: whatever the bytes, none that can be resolved leaves them as they are", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
    assert.equal(await withAddresses(bytes, () => Promise.resolve(null)), bytes);
  }));
  const long = new TextEncoder().encode("c=IN IP4 localhost\n".repeat(100_000));
  assert.equal(await withAddresses(long, lookUp), long);
});
