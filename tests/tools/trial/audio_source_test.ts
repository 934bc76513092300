import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import { FlvWriter } from "../../../lib/flv/file.ts";
import { type AudioMessage, fileMessages, sampleMessages } from "../../../lib/tools/trial/audio_source.ts";

async function collect(messages: AsyncIterable<AudioMessage>): Promise<AudioMessage[]> {
  const all: AudioMessage[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

for (const [codec, tag] of [["speex", 0xb2], ["pcmu", 0x82], ["pcma", 0x72]] as const) {
  Deno.test(`the ${codec} sample has a block every 20 ms with its tag`, async () => {
    const messages = await collect(sampleMessages(codec, 0.5));
    assert.deepEqual(messages.map((message) => message.timeMs), Array.from({ length: 25 }, (_, i) => i * 20));
    assert.ok(messages.every(({ body }) => body[0] === tag && body.length > 20));
  });
}

Deno.test("a file gives its audio tags from time 0 until the wanted time, without video", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const writer = await FlvWriter.create(`${folder}/a.flv`);
    for (let i = 0; i < 10; i++) {
      writer.put(8, 5000 + i * 20, new Uint8Array([0x82, i]));
      writer.put(9, 5000 + i * 20, new Uint8Array([0x17, 1, 0, 0, 0, i]));
    }
    await writer.close();
    const messages = await collect(fileMessages(`${folder}/a.flv`, 0.1));
    assert.deepEqual(messages.map(({ timeMs, body }) => [timeMs, body[1]]), [[0, 0], [20, 1], [40, 2], [
      60,
      3,
    ], [80, 4]]);
    assert.equal((await collect(fileMessages(`${folder}/a.flv`, Infinity))).length, 10);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file that is not there is a TransportError with its name", async () => {
  await assert.rejects(
    collect(fileMessages("/nowhere/x.flv", 1)),
    (error) => error instanceof TransportError && error.message.includes("/nowhere/x.flv"),
  );
});
