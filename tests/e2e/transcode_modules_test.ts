// The set-up of the codec modules as users meet it: `deno task codecs` in a folder of its own, and the program where
// nothing could be built. Neither reaches a network here.

import assert from "node:assert/strict";
import { readModule } from "../../lib/codecs/load.ts";
import { RECIPES } from "../../scripts/codecs/recipes.ts";
import { built } from "../support/transcode_bench.ts";

const ROOT = new URL("../../", import.meta.url);

/** A checkout with nothing but the set-up in it. */
async function inCheckout(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-setup-" });
  try {
    await Deno.mkdir(`${folder}/scripts/codecs`, { recursive: true });
    await Deno.mkdir(`${folder}/lib/codecs/wasm`, { recursive: true });
    for (const name of ["deno.json", "deno.lock"]) {
      await Deno.copyFile(new URL(name, ROOT), `${folder}/${name}`);
    }
    for await (const { name } of Deno.readDir(new URL("scripts/codecs/", ROOT))) {
      await Deno.copyFile(new URL(`scripts/codecs/${name}`, ROOT), `${folder}/scripts/codecs/${name}`);
    }
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The set-up, where no site answers and there is no package manager. */
async function setUp(folder: string, ...args: string[]): Promise<{ code: number; lines: string[] }> {
  const permissions = [
    "--no-prompt",
    "--allow-read",
    "--allow-write",
    "--allow-env",
    "--allow-net",
    "--allow-run",
  ];
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", ...permissions, "scripts/codecs/build.ts", ...args],
    cwd: folder,
    env: { HTTPS_PROXY: "http://127.0.0.1:9", PATH: "/nowhere", NO_COLOR: "1", SIPRTMP_CODEC_SOURCES: "" },
    stdout: "null",
    stderr: "piped",
  }).output();
  return { code, lines: new TextDecoder().decode(stderr).trim().split("\n").filter((line) => line !== "") };
}

Deno.test("nothing can be fetched: one line that says what is missing and what to do, and no failure", async () => {
  await inCheckout(async (folder) => {
    const { code, lines } = await setUp(folder);
    assert.equal(code, 0);
    assert.equal(lines.length, 2, lines.join("\n"));
    assert.match(lines[0]!, /^Building 5 codec modules, once/);
    const files = RECIPES.map(({ archive }) => archive.fileName).join(", ");
    assert.match(lines[1]!, /^No transcoding with Opus, AAC encoding, AAC decoding, Speex, resampling: /);
    assert.ok(lines[1]!.includes(`Put ${files} into a folder, name it in SIPRTMP_CODEC_SOURCES`), lines[1]);
    assert.equal((await setUp(folder, "--strict")).code, 1, "a failure where it is asked for");
  });
});

Deno.test({
  name: "modules that are there and right cost no word; one that was changed is not trusted",
  ignore: !built,
}, async () => {
  await inCheckout(async (folder) => {
    for (const { name } of RECIPES) {
      await Deno.writeFile(`${folder}/lib/codecs/wasm/${name}.wasm`, (await readModule(name as "opus"))!);
    }
    assert.deepEqual(await setUp(folder, "--strict"), { code: 0, lines: [] });
    const speex = `${folder}/lib/codecs/wasm/speex.wasm`;
    const bytes = await Deno.readFile(speex);
    bytes[bytes.length - 1]! ^= 1;
    await Deno.writeFile(speex, bytes);
    const { code, lines } = await setUp(folder, "--strict");
    assert.equal(code, 1);
    assert.match(lines[1]!, /^No transcoding with Speex: the source is out of reach/);
  });
});

Deno.test("nothing of others is committed: no module, no archive", async () => {
  const { code, stdout } = await new Deno.Command("git", { args: ["ls-files"], cwd: ROOT, stderr: "null" })
    .output();
  if (code !== 0) return; // a copy without its history: nothing is committed at all
  const files = new TextDecoder().decode(stdout).split("\n");
  assert.ok(files.includes("deno.json"));
  assert.deepEqual(
    files.filter((file) => /\.(?:wasm|gz|xz|zip|so|a|o)$|node_modules|^\.cache\//.test(file)),
    [],
  );
});

Deno.test("start, demo and test build the modules by themselves before anything else", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  for (const name of ["start", "demo", "test", "peers", "quality"]) {
    assert.match(tasks[name].command, /^deno task -q codecs && /, name);
  }
});

Deno.test("the program without modules: one warning, and it serves", async () => {
  const wasm = new URL("lib/codecs/wasm", ROOT).pathname;
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-check", "--allow-net", "--allow-read", `--deny-read=${wasm}`],
      ...["--allow-sys=networkInterfaces", "main.ts", "-i", "127.0.0.1", "-p", "0", "-l", "127.0.0.1"],
      ...["--sip-port", "0"],
    ],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let said = "";
  let stopped = false;
  const decoder = new TextDecoder();
  for await (const piece of process.stderr) {
    said += decoder.decode(piece);
    if (stopped || !/RTMP clients connect to/.test(said)) continue;
    stopped = true;
    process.kill("SIGTERM");
  }
  assert.equal((await process.status).code, 0, said);
  const warnings = said.split("\n").filter((line) => /codec modules/.test(line));
  assert.equal(warnings.length, 1, said);
  assert.match(warnings[0]!, /audio only passes through as it is: deno task codecs builds them/);
});
