import fc from "fast-check";
import assert from "node:assert/strict";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { DiskFile } from "../../lib/flv/disk.ts";
import { inspectFlv } from "../../lib/flv/inspect.ts";
import { FlvSeekReader, FlvWriter } from "../../lib/flv/writer.ts";
import {
  MediaFolder,
  type OpenRecording,
  parseStreamPath,
  Recording,
  Recordings,
  recordingSegments,
} from "../../lib/live/recordings.ts";
import { film, flvFile, inFolder, picture, speech } from "../support/live_flv.ts";
import { nameOf } from "../support/live_sink.ts";
import { RecordLog } from "../support/record_log.ts";

async function inRecordings(
  run: (recordings: Recordings, folder: string, log: RecordLog) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    const log = new RecordLog();
    await run(new Recordings({ root: folder, record: true }, log), folder, log);
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

Deno.test("without --record nothing is written, and it is said what turns it on", () =>
  inFolder(async (folder) => {
    const log = new RecordLog();
    const recordings = new Recordings({ root: folder, record: false }, log);
    for (const mode of ["record", "append"] as const) {
      const outcome = await recordings.record("live/film", mode);
      assert.deepEqual(outcome, { type: "refused", reason: "recording is off here: --record turns it on" });
    }
    assert.equal(log.lines.length, 2);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  }));

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
      "warn main cannot record live/text",
      "warn main cannot play live/text",
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
      /recording .*film\.flv incomplete: Cannot name .*film\.flv/,
    );
    assert.equal(recordings.size, 0);
  }));

async function linesOf(path: string): Promise<string[]> {
  using reader = await FlvSeekReader.open(path);
  const lines: string[] = [];
  do {
    for (let tag = reader.next(); tag !== null; tag = reader.next()) {
      lines.push(nameOf(tag.type, tag.timeMs, tag.body));
    }
  } while (await reader.fill());
  return lines;
}

/** Sends sound at these times. */
function speak(recording: Recording, timesMs: readonly number[]): void {
  for (const timeMs of timesMs) assert.ok(recording.media(8, timeMs, speech()));
}

Deno.test("a recording starts at 0, whatever the publisher's clock says", () =>
  inFolder(async (folder) => {
    const recording = new Recording(await FlvWriter.create(`${folder}/a.flv`));
    speak(recording, [90_000, 90_020, 89_990, 90_040]);
    assert.equal(recording.durationMs, 40);
    await recording.close();
    assert.deepEqual(await linesOf(`${folder}/a.flv`), ["speech 0", "speech 20", "speech 0", "speech 40"]);
  }));

Deno.test("a clock that jumps back goes on 20 ms later", () =>
  inFolder(async (folder) => {
    const recording = new Recording(await FlvWriter.create(`${folder}/a.flv`));
    speak(recording, [5000, 9000, 0, 20, 6000]);
    await recording.close();
    const times = ["speech 0", "speech 4000", "speech 4020", "speech 4040", "speech 10020"];
    assert.deepEqual(await linesOf(`${folder}/a.flv`), times);
  }));

Deno.test("an append goes on 20 ms behind the last tag", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a.flv`;
    for (let i = 0; i < 3; i++) {
      const recording = new Recording(await FlvWriter.append(path));
      speak(recording, [700, 720]);
      await recording.close();
    }
    const times = [0, 20, 40, 60, 80, 100].map((timeMs) => `speech ${timeMs}`);
    assert.deepEqual(await linesOf(path), times);
  }));

Deno.test("the publisher's metadata goes into that of the file, other data is recorded", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a.flv`;
    const recording = new Recording(await FlvWriter.create(path));
    recording.media(18, 0, encodeAmf0(["onMetaData", { width: 320, duration: 0 }]));
    recording.media(8, 0, speech());
    recording.media(18, 10, encodeAmf0(["onCuePoint", {}]));
    await recording.close();
    assert.deepEqual(await linesOf(path), ["speech 0", "data 10"]);
    using file = await DiskFile.open(path, "read");
    assert.deepEqual((await inspectFlv(file)).metadata!.summary.properties, { width: 320 });
  }));

Deno.test("without a single tag an earlier recording stays", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a.flv`;
    const first = new Recording(await FlvWriter.create(path));
    speak(first, [0]);
    await first.close();
    const second = new Recording(await FlvWriter.create(path));
    second.media(18, 0, encodeAmf0(["onMetaData", {}]));
    await second.close();
    assert.deepEqual(await linesOf(path), ["speech 0"]);
  }));

Deno.test("a full disk is told once, and the stream is not bothered again", () =>
  inFolder(async (folder) => {
    await Deno.symlink("/dev/full", `${folder}/a.flv.part`);
    const writer = await FlvWriter.create(`${folder}/a.flv`);
    const recording = new Recording(writer);
    const reasons: string[] = [];
    recording.onFailure = (reason) => reasons.push(reason);
    speak(recording, [0]);
    while (writer.failure === null) await new Promise((resolve) => setTimeout(resolve, 1));
    speak(recording, [20, 40]);
    assert.equal(reasons.length, 1);
    assert.match(reasons[0]!, /^Cannot write .*a\.flv\.part: /);
    await assert.rejects(recording.close(), /Cannot write/);
  }));

Deno.test("while the disk is slow pictures are left out, not the end of the file", () =>
  inFolder(async (folder) => {
    const recording = new Recording(await FlvWriter.create(`${folder}/a.flv`));
    assert.equal(recording.congestion(), 0);
    for (const { type, timeMs, body } of film(100)) recording.media(type, timeMs, body);
    for (let i = 0; recording.congestion() === 0; i++) {
      assert.ok(i < 100);
      recording.media(9, 120, picture(false, 1 << 20));
    }
    recording.dropped(3, 2);
    assert.equal(recording.droppedFrames, 5);
    await recording.close();
    assert.equal(recording.congestion(), 0);
  }));

/** A root with links in it, and a neighbour that must not be reached. */
async function inHouse(
  run: (folder: MediaFolder, root: string, outside: string) => Promise<void>,
): Promise<void> {
  await inFolder(async (temporary) => {
    const base = await Deno.realPath(temporary);
    const [root, outside] = [`${base}/root`, `${base}/root-outside`];
    await Deno.mkdir(`${root}/sub`, { recursive: true });
    await Deno.mkdir(outside);
    for (const file of [`${root}/film.flv`, `${root}/sub/film.flv`, `${outside}/secret.flv`]) {
      await Deno.writeTextFile(file, file);
    }
    await Deno.symlink(`${root}/film.flv`, `${root}/link.flv`);
    await Deno.symlink(`${outside}/secret.flv`, `${root}/escape.flv`);
    await Deno.symlink("../root-outside/secret.flv", `${root}/relative.flv`);
    await Deno.symlink(`${outside}/new.flv`, `${root}/dangling.flv`);
    await Deno.symlink(outside, `${root}/out`);
    await Deno.symlink(`${root}/sub`, `${root}/in`);
    await Deno.symlink(`${outside}/nowhere`, `${root}/lost`);
    await Deno.symlink("/dev/null", `${root}/null.flv`);
    await Deno.mkdir(`${root}/folder.flv`);
    await Deno.symlink(`${outside}/x`, `${root}/parted.flv.part`);
    await run(new MediaFolder(root), root, outside);
  });
}

Deno.test("recordings are found by path and name, also through links that stay inside", () =>
  inHouse(async (folder, root) => {
    const table: [path: string, name: string, file: string][] = [
      ["live", "film", "film.flv"],
      ["live/sub", "film", "sub/film.flv"],
      ["wirecast", "sub/film", "sub/film.flv"],
      ["live", "link", "film.flv"],
      ["live/in", "film", "sub/film.flv"],
    ];
    for (const [path, name, file] of table) {
      assert.deepEqual(await folder.find(`${path}/${name}`), { type: "file", path: `${root}/${file}` });
    }
  }));

Deno.test("nothing outside is found, nor what is no file", () =>
  inHouse(async (folder) => {
    const names = [
      "none",
      "escape",
      "relative",
      "dangling",
      "out/secret",
      "lost/film",
      "null",
      "folder",
      "film/x",
    ];
    for (const name of names) {
      const found = await folder.find(`live/${name}`);
      assert.deepEqual(found, { type: "refused", reason: "there is no such recording" }, name);
    }
    for (const name of ["../root-outside/secret", "/etc/passwd", "sub/../film", "a\0b"]) {
      assert.equal((await folder.find(`live/${name}`)).type, "refused", name);
    }
    assert.equal((await folder.find("live/../film")).type, "refused");
    assert.equal((await new MediaFolder("/no/such/folder").find("live/film")).type, "refused");
  }));

Deno.test("places are made below the root", () =>
  inHouse(async (folder, root) => {
    const table: [path: string, name: string, file: string][] = [
      ["live", "new", "new.flv"],
      ["live", "film", "film.flv"],
      ["live/deep/er", "down/film", "deep/er/down/film.flv"],
      ["live", "in/new", "sub/new.flv"],
      ["live", "link", "film.flv"],
    ];
    for (const [path, name, file] of table) {
      assert.deepEqual(
        await folder.place(`${path}/${name}`),
        { type: "file", path: `${root}/${file}` },
        name,
      );
    }
    assert.ok((await Deno.stat(`${root}/deep/er/down`)).isDirectory);
  }));

Deno.test("no place is made outside, over a link that leads there, or over what is no file", () =>
  inHouse(async (folder, _root, outside) => {
    const names = [
      "escape",
      "relative",
      "dangling",
      "out/new",
      "out/a/b",
      "lost/a",
      "null",
      "folder",
      "film.flv/x",
    ];
    for (const name of [...names, "parted", "../x"]) {
      const placed = await folder.place(`live/${name}`);
      assert.deepEqual(placed, { type: "refused", reason: "this name cannot be that of a file" }, name);
    }
    assert.deepEqual((await Array.fromAsync(Deno.readDir(outside))).map(({ name }) => name), ["secret.flv"]);
  }));

Deno.test("a root that is not there yet, or is a link, is as good", () =>
  inFolder(async (temporary) => {
    const base = await Deno.realPath(temporary);
    const fresh = new MediaFolder(`${base}/a/b/`);
    assert.deepEqual(await fresh.place("live/x"), { type: "file", path: `${base}/a/b/x.flv` });
    await Deno.symlink(`${base}/a`, `${base}/link`);
    const linked = new MediaFolder(`${base}/link`);
    assert.deepEqual(await linked.place("live/b/x"), { type: "file", path: `${base}/a/b/x.flv` });
  }));

/** The file of a stream, as URLs name it. */
function fileOf(app: string, name: string): string | null {
  const path = parseStreamPath(app, name);
  return path === null ? null : recordingSegments(path)?.join("/") ?? null;
}

Deno.test("wherever a URL is cut, and whatever its file is called, it names one stream", () => {
  const table: [app: string, name: string, path: string | null][] = [
    ["live", "cam", "live/cam"],
    ["/live/", "/cam", "live/cam"],
    ["live/room 1", "cam 1", "live/room 1/cam 1"],
    ["live", "room/cam", "live/room/cam"],
    ["", "live/cam", "live/cam"],
    ["cam", "", "cam"],
    ["live", "rtmp://gateway/live/cam", "live/cam"],
    ["live", "cam.flv", "live/cam"],
    ["live", "flv:cam", "live/cam"],
    ["live", "mp4:cam.mp4", "live/cam.mp4"],
    ["live", "../up", "live/../up"],
    ["live", "C:x", "live/C:x"],
    ["live", "x\u2028y", "live/x\u2028y"],
    ["", "", null],
    ["/", "//", null],
    ["live\0x", "cam", null],
    ["live", "a\nb", null],
    ["live", "x".repeat(513), null],
    ["live", "/".repeat(1_000_000), null],
  ];
  for (const [app, name, path] of table) {
    assert.equal(parseStreamPath(app, name), path, JSON.stringify([app, name.slice(0, 40)]));
  }
});

Deno.test("streams of other applications are not reached by this one, whose rules they would not know", () => {
  const table: [app: string, name: string][] = [
    ["live", "rtmp://gateway/line/desk"],
    ["live", "rtmp://gateway/call/desk/100"],
    ["live", "rtmp://gateway//sip/alice@h/local"],
    ["", "line/desk"],
    ["", "call//desk/100"],
  ];
  for (const [app, name] of table) assert.equal(parseStreamPath(app, name), null, name);
});

Deno.test("a recording lies below the root, under the path without its first element", () => {
  const table: [app: string, name: string, file: string][] = [
    ["live", "film", "film.flv"],
    ["live", "film.flv", "film.flv"],
    ["live", "flv:film", "film.flv"],
    ["wirecast/room", "film", "room/film.flv"],
    ["live/a/b", "c/d", "a/b/c/d.flv"],
    ["live", ".hidden", ".hidden.flv"],
    ["live", "a..b", "a..b.flv"],
    ["live", "%2e%2e/x", "%2e%2e/x.flv"],
    ["..", "film", "film.flv"],
    ["film", "", "film.flv"],
    ["live", "//film", "film.flv"],
    ["live", "a//b", "a/b.flv"],
    ["live", "a/", "a.flv"],
    ["live", "/etc/passwd", "etc/passwd.flv"],
    ["live", "flv:/film", "film.flv"],
  ];
  for (const [app, name, file] of table) assert.equal(fileOf(app, name), file, name);
});

const HOSTILE = [
  "../film",
  "..",
  ".",
  "a/../../film",
  "a/./film",
  "..\\film",
  "a\\b",
  "C:film",
  "c:/film",
  "C:\\film",
  "film:stream",
  "flv:../film",
  "../film.flv",
  "..flv:",
  "film\0.flv",
  "film\n",
  "film.",
  "film ",
  "../.flv",
  "...",
  "nul*",
  "a?b",
  'a"b',
  "a|b",
  "<a>",
  "x".repeat(241),
  "ü".repeat(121),
  Array(18).fill("a").join("/"),
];

Deno.test("no name leads out of the root, nor means something special", () => {
  for (const name of ["flv:", ".flv", "..flv", "a/..flv", "flv:.flv"]) {
    assert.equal(fileOf("live", name), null, name); // only ".flv" or "." would be left
  }
  for (const name of HOSTILE) {
    assert.equal(fileOf("live", name), null, JSON.stringify(name));
    assert.equal(fileOf(`live/${name}`, "film"), null, `path ${JSON.stringify(name)}`);
  }
});

Deno.test("whatever the path and name, segments are plain names", () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[./\\:a\0]*$/));
  fc.assert(fc.property(text, text, (path, name) => {
    const segments = fileOf(path, name)?.split("/") ?? null;
    if (segments === null) return;
    for (const segment of segments) {
      // deno-lint-ignore no-control-regex -- control characters must not get here
      assert.doesNotMatch(segment, /^\.{1,2}$|[/\\:\x00-\x1f]/);
      assert.notEqual(segment, "");
    }
    assert.match(segments.at(-1)!, /.\.flv$/);
  }));
});
