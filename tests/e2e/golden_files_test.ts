// Golden trace of a recording: written, played, sought. See tests/support/golden.

import { AVC_CONFIG, avcTag, slice, toneFrames } from "../support/golden/media.ts";
import { golden } from "../support/golden/trace.ts";
import { octets } from "../support/golden/octets.ts";

const root = await Deno.makeTempDir({ prefix: "golden" });

golden("12 recording", async (stage) => {
  try {
    const publisher = await stage.program("publisher", "media/room");
    const sent = await publisher.stream("publish", "cam", "record");
    const { config, tags } = toneFrames("aac");
    publisher.send(sent, 9, 0, AVC_CONFIG);
    publisher.send(sent, 8, 0, config!);
    for (let i = 0; i < 4; i++) {
      publisher.send(sent, 9, 40 * i, avcTag(slice(i % 2 === 0 ? "I" : "P", 200, i)));
      publisher.send(sent, 8, 40 * i + 10, tags[i]!);
    }
    publisher.streamCall(sent, "closeStream");
    await publisher.take(/Record\.Stop/);
    const file = await Deno.readFile(`${root}/room/cam.flv`);
    stage.trace.write("file", "<-", octets(file));
    const player = await stage.program("player", "media/room");
    const played = await player.stream("play", "cam", 0);
    await player.take(/Play\.Stop/);
    await player.takeMedia(played, 9, 5);
    await player.takeMedia(played, 8, 5);
    stage.note("what is not there");
    player.call("createStream");
    const other = Number(/(\d+)$/.exec(await player.take(/_result/))?.[1]);
    player.streamCall(other, "play", "nothing", 0);
    await player.take(/StreamNotFound/);
    player.call("getStreamLength", "cam");
    await player.take(/_result|_error/);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}, { flags: { root, record: true } });
