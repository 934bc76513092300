import assert from "node:assert/strict";
import { formatCodecSums } from "../../lib/app/codec_sums.ts";
import { Codecs } from "../../lib/codecs/codecs.ts";
import { loadCodecs } from "../../lib/codecs/load.ts";

Deno.test("a row for every codec, the same each time: fresh modules have nothing of the time before", async () => {
  const codecs = await loadCodecs();
  const text = await formatCodecSums(codecs);
  const rows = text.split("\n").map((line) => line.split(/ +/));
  assert.deepEqual(rows[0], ["codec", "rate", "packets", "coded", "decoded"]);
  assert.deepEqual(rows.slice(1).map(([name]) => name), [...codecs.transcodable]);
  for (const [name, rate, packets, ...sums] of rows.slice(1)) {
    assert.match(`${rate} ${packets}`, /^\d{4,5} \d\d$/, name);
    for (const sum of sums) assert.match(sum, /^[0-9a-f]{16}$/, name);
  }
  assert.equal(await formatCodecSums(await loadCodecs()), text);
});

Deno.test("without modules there is nothing but the head", async () => {
  assert.equal((await formatCodecSums(new Codecs(new Map()))).split("\n").length, 1);
});
