import assert from "node:assert/strict";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import {
  type LiveHeaders,
  MAX_LIVE_HEADER_BYTES,
  MAX_LIVE_HEADERS,
  NO_HEADERS,
  withHeader,
} from "../../lib/live/live_headers.ts";
import { createTag, readTag } from "../../lib/media/tag.ts";
import { fromHex, toHex } from "../support/hex.ts";
import { TAG_TABLE } from "../support/tag_table.ts";

const METADATA = encodeAmf0(["onMetaData", {}]);

function after(headers: LiveHeaders, type: 8 | 9 | 18, body: Uint8Array): LiveHeaders {
  return withHeader(headers, readTag(type, body, createTag()), body);
}

function configs(headers: LiveHeaders): string[] {
  return headers.configs.map(({ type, body }) => `${type} ${toHex(body)}`);
}

Deno.test("the latest of each kind is kept, as its own copy", () => {
  const metadata = METADATA.slice();
  let headers = after(NO_HEADERS, 18, metadata);
  headers = after(headers, 8, fromHex("af001210"));
  headers = after(headers, 9, fromHex("170000000001"));
  headers = after(headers, 9, fromHex("170000000002"));
  metadata.fill(9);
  assert.deepEqual(headers.metadata, METADATA);
  assert.deepEqual(configs(headers), ["9 170000000002", "8 af001210"]);
});

Deno.test("each track keeps its own configuration", () => {
  let headers = after(NO_HEADERS, 9, fromHex("170000000001"));
  headers = after(headers, 9, fromHex("9600617663310102"));
  headers = after(headers, 9, fromHex("9600617663310203"));
  headers = after(headers, 8, fromHex("95004f7075730105"));
  headers = after(headers, 8, fromHex("af001210"));
  headers = after(headers, 9, fromHex("9600617663310104"));
  assert.deepEqual(configs(headers), [
    "9 170000000001",
    "9 9600617663310203",
    "9 9600617663310104",
    "8 95004f7075730105",
    "8 af001210",
  ]);
});

Deno.test("of every tag headers are kept, and nothing else", () => {
  for (const { what, type, body, content } of TAG_TABLE) {
    const headers = after(NO_HEADERS, type, fromHex(body));
    assert.equal(headers.configs.length, content === "config" || content === "info" ? 1 : 0, what);
    assert.equal(headers.metadata !== null, content === "metadata", what);
    assert.equal(after(headers, type, fromHex(body)), headers, `${what}: nothing new`);
  }
});

Deno.test("what is too long is not kept, nor more than a stream can have", () => {
  const long = new Uint8Array(MAX_LIVE_HEADER_BYTES + 1);
  long.set(METADATA);
  assert.equal(after(NO_HEADERS, 18, long), NO_HEADERS);
  long.set(fromHex("af001210"));
  assert.equal(after(NO_HEADERS, 8, long), NO_HEADERS);
  let headers = NO_HEADERS;
  for (let track = 0; track < 100; track++) {
    headers = after(headers, 9, Uint8Array.of(0x96, 0, 0x61, 0x76, 0x63, 0x31, track, 1));
  }
  assert.equal(headers.configs.length, MAX_LIVE_HEADERS);
  headers = NO_HEADERS;
  for (let track = 0; track < 10; track++) {
    const large = new Uint8Array(MAX_LIVE_HEADER_BYTES);
    large.set([0x96, 0, 0x61, 0x76, 0x63, 0x31, track, 1]);
    headers = after(headers, 9, large);
  }
  assert.equal(headers.configs.length, 4);
});
