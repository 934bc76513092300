import assert from "node:assert/strict";
import { MediaFolder } from "../../lib/live/media_folder.ts";
import { type OpenRecording, Recordings } from "../../lib/live/recordings.ts";
import { film, flvFile, inFolder, speech } from "../support/live_flv.ts";
import { RecordLog } from "../support/record_log.ts";

async function inRecordings(
  run: (recordings: Recordings, folder: string, log: RecordLog) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    const log = new RecordLog();
    await run(new Recordings(new MediaFolder(folder), log), folder, log);
  });
}

async function record(
  recordings: Recordings,
  name: string,
  mode: "record" | "append" = "record",
): Promise<OpenRecording> {
  const outcome = await recordings.record(`live/${name}`, mode);
  assert.ok(outcome.type === "open", JSON.stringify(outcome));
  return outcome.opened;
}

Deno.test("what was recorded can be played, as soon as it is finished", () =>
  inRecordings(async (recordings, _folder, log) => {
    const open = await record(recordings, "film");
    for (const { type, timeMs, body } of film(2000)) open.recording.media(type, timeMs, body);
    assert.equal(await recordings.play("live/film"), null);
    const closing = open.close();
    const again = open.close();
    using reader = (await recordings.play("live/film"))!; // waits
    assert.equal(reader.durationMs, 2000);
    assert.equal(await recordings.durationSeconds("live/film"), 2);
    assert.equal(await recordings.durationSeconds("live/none"), 0);
    await Promise.all([closing, again]);
    assert.equal(recordings.size, 0);
    assert.match(log.at("info").join("\n"), /^info main recorded .*film\.flv: 2\.0 s$/);
  }));

Deno.test("a file has one recording at a time, and the next one waits for the last to be finished", () =>
  inRecordings(async (recordings) => {
    const first = await record(recordings, "film");
    const busy = { type: "refused", reason: "this file is being recorded already" };
    assert.deepEqual(await recordings.record("live/film", "record"), busy);
    assert.deepEqual(await recordings.record("wirecast/film", "append"), busy);
    first.recording.media(8, 0, speech());
    const closing = first.close();
    const second = await record(recordings, "film", "append");
    await closing;
    second.recording.media(8, 0, speech());
    await second.close();
    assert.equal(await recordings.durationSeconds("live/film"), 0.02);
  }));

Deno.test("two that wait for the same file do not both get it", () =>
  inRecordings(async (recordings) => {
    const first = await record(recordings, "film");
    const closing = first.close();
    const outcomes = await Promise.all([
      recordings.record("live/film", "record"),
      recordings.record("live/film", "record"),
      closing,
    ]);
    const open = outcomes.filter((outcome) => outcome?.type === "open");
    assert.equal(open.length, 1);
    for (const outcome of outcomes) if (outcome?.type === "open") await outcome.opened.close();
    assert.equal(recordings.size, 0);
  }));

Deno.test("trouble is in the log, and the client learns no path", () =>
  inRecordings(async (recordings, folder, log) => {
    await Deno.writeTextFile(`${folder}/text.flv`, "not a film at all");
    const failed = { type: "refused", reason: "the file cannot be used; the server's log says why" };
    assert.deepEqual(await recordings.record("live/text", "append"), failed);
    assert.equal(await recordings.play("live/text"), null);
    assert.deepEqual(log.at("warn").map((line) => line.replace(/:.*/, "")), [
      "warn main Cannot record live/text",
      "warn main Cannot play live/text",
    ]);
    assert.deepEqual(await recordings.record("live/../x", "record"), {
      type: "refused",
      reason: "this name cannot be that of a file",
    });
    assert.equal(recordings.size, 0);
    await Deno.writeFile(`${folder}/text.flv`, flvFile(film(40)));
    const open = await record(recordings, "text", "append");
    await open.close();
  }));

Deno.test("a recording that cannot be finished is told, and its name is free again", () =>
  inRecordings(async (recordings, folder, log) => {
    const open = await record(recordings, "film");
    open.recording.media(8, 0, speech());
    await Deno.mkdir(`${folder}/film.flv`); // in the way of its name
    await open.close();
    assert.match(
      log.at("error").join("\n"),
      /The recording .*film\.flv is not complete: Cannot name .*film\.flv/,
    );
    assert.equal(recordings.size, 0);
  }));
