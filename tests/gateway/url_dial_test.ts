import assert from "node:assert/strict";
import { dialledByUrl, publisherCodecs } from "../../lib/gateway/url_dial.ts";

const QUERIES: [query: string, destination: string | null][] = [
  ["dial=echo", "echo"],
  ["a=1&dial=bob%40example.com", "bob@example.com"],
  ["dial=+4930123", "+4930123"],
  ["", null],
  ["dial=", null],
  ["other=1", null],
  [`dial=${"9".repeat(300)}`, null],
];

for (const [query, destination] of QUERIES) {
  Deno.test(`?${query.slice(0, 30)} dials ${destination}`, () =>
    assert.equal(dialledByUrl(query), destination));
}

const TAGS: [tagByte: number, codecs: string[]][] = [
  [0x82, ["pcmu"]],
  [0x72, ["pcma"]],
  [0xb2, ["wideband", "narrowband"]],
  [0xb6, ["wideband", "narrowband"]],
  [0xaf, []],
  [0x2f, []],
];

for (const [tagByte, codecs] of TAGS) {
  Deno.test(`audio tag ${tagByte.toString(16)} offers ${codecs.join(", ") || "nothing"}`, () => {
    assert.deepEqual(publisherCodecs(tagByte), codecs);
  });
}
