import assert from "node:assert/strict";
import { TAG_TABLE } from "../../support/tag_table.ts";
import { dialledByUrl, isSound, publisherCodecs } from "../../../lib/gateway/apps/url_dial.ts";

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
    assert.equal(dialledByUrl(query)?.destination ?? null, destination));
}

const PLAYERS: [query: string, codecs: string[]][] = [
  ["dial=echo", ["pcmu", "pcma", "wideband"]],
  ["dial=echo&audio=aac", ["aac"]],
  ["audio=AAC&dial=echo", ["aac"]],
  ["dial=echo&audio=opus", ["opus"]],
  ["dial=echo&audio=speex", ["wideband", "narrowband"]],
  ["dial=echo&audio=pcma", ["pcma"]],
  ["dial=echo&video=h264", ["pcmu", "pcma", "wideband", "h264"]],
  ["dial=echo&audio=aac&video=H264", ["aac", "h264"]],
  ["dial=echo&video=vp8", ["pcmu", "pcma", "wideband"]],
  ["dial=echo&audio=constructor", ["pcmu", "pcma", "wideband"]],
];

for (const [query, codecs] of PLAYERS) {
  Deno.test(`?${query} plays ${codecs}`, () => assert.deepEqual(dialledByUrl(query)?.playerCodecs, codecs));
}

const TAGS: [body: string, codecs: string[]][] = [
  ["82ff", ["pcmu"]],
  ["72ff", ["pcma"]],
  ["b201", ["wideband", "narrowband"]],
  ["b601", ["wideband", "narrowband"]],
  ["af001210", ["aac"]],
  ["af0121", ["aac"]],
  ["906d7034611210", ["aac"]],
  ["914f707573fc", ["opus"]],
  ["2fff", []],
  ["00ff", []],
  ["60ff", []],
  ["91", []],
  ["af", ["aac"]], // cut off: the call tells
];

for (const [body, codecs] of TAGS) {
  Deno.test(`audio ${body} offers ${codecs.join(", ") || "nothing"}`, () => {
    assert.deepEqual(publisherCodecs(Uint8Array.fromHex(body)), codecs);
  });
}

const SOUNDS: [type: 8 | 9 | 18, body: string, sound: boolean][] = [
  [8, "82ff", true],
  [8, "af0121", true],
  [8, "af001210", false],
  [8, "906d7034611210", false],
  [8, "b2", false],
  [8, "", false],
  [9, "82ff", false],
  [18, "020003", false],
];

for (const [type, body, sound] of SOUNDS) {
  Deno.test(`a message ${type} of "${body}" ${sound ? "dials" : "does not dial"}`, () => {
    assert.equal(isSound({ type, timeMs: 0, body: Uint8Array.fromHex(body) }), sound);
  });
}

Deno.test("of every tag only sound of the default track dials", () => {
  for (const { what, type, body, content, track = 0 } of TAG_TABLE) {
    const sound = type === 8 && track === 0 && body.length > 2 && content === "frame";
    assert.equal(isSound({ type, timeMs: 0, body: Uint8Array.fromHex(body) }), sound, what);
  }
});

const LIMITS: [query: string, answerTimeout: number | null, maxDuration: number | null][] = [
  ["dial=echo", null, null],
  ["dial=echo&answer-timeout=30&max-duration=3600", 30, 3600],
  ["dial=echo&answer-timeout=0&max-duration=-1", null, null],
  ["dial=echo&answer-timeout=601&max-duration=1e3", null, null],
  ["dial=echo&answer-timeout= 5 ", 5, null],
];

for (const [query, answerTimeout, maxDuration] of LIMITS) {
  Deno.test(`?${query} rings ${answerTimeout} s and lasts ${maxDuration} s at most`, () => {
    const wanted = dialledByUrl(query)!;
    assert.deepEqual([wanted.answerTimeoutSeconds, wanted.maxDurationSeconds], [answerTimeout, maxDuration]);
  });
}
