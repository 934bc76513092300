// A defect of ours before anything runs: one line, and an exit code that service managers know for a failure. A copy of
// the program gets each defect.

import assert from "node:assert/strict";
import { inFolder } from "../support/live_flv.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const PERMISSIONS = [
  "--no-prompt",
  "--no-check",
  "--allow-net",
  "--allow-read",
  "--allow-sys=networkInterfaces",
];
const LOCAL = ["-i", "127.0.0.1", "-p", "0", "-l", "127.0.0.1", "--sip-port", "0"];

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (name === "wasm") continue; // large, and not needed to start
    if (isDirectory) await copyTree(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

async function run(folder: string, args: readonly string[]): Promise<{ code: number; said: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", ...PERMISSIONS, "main.ts", ...LOCAL, ...args],
    cwd: folder,
    env: { FORCE_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  });
  const { code, stderr } = await command.output();
  return { code, said: new TextDecoder().decode(stderr) };
}

async function change(path: string, edit: (text: string) => string): Promise<void> {
  await Deno.writeTextFile(path, edit(await Deno.readTextFile(path)));
}

const atTop = (code: string) => (text: string): string => `${text}\n${code}\n`;
const inRun = (code: string) => (text: string): string =>
  text.replace("const command = parseArguments", `${code}\n  const command = parseArguments`);

const PROGRAM = "lib/app/program.ts";
const DEFECTS: [name: string, spoil: (folder: string) => Promise<void>, says: RegExp][] = [
  [
    "a module is missing",
    (folder) => Deno.remove(`${folder}/lib/base/mailbox.ts`),
    /Module not found .*mailbox\.ts/,
  ],
  [
    "a name is not exported",
    (folder) => change(`${folder}/lib/base/mailbox.ts`, () => "export {};"),
    /Mailbox/,
  ],
  [
    "a module does not parse",
    (folder) => change(`${folder}/lib/live/file_player.ts`, atTop("const = 1;")),
    /file_player\.ts/,
  ],
  [
    "a module throws",
    (folder) => change(`${folder}/lib/live/file_player.ts`, atTop('throw new Error("boom");')),
    /boom/,
  ],
  [
    "the start throws",
    (folder) => change(`${folder}/${PROGRAM}`, inRun('throw new TypeError("bang");')),
    /bang/,
  ],
  [
    "a promise nobody awaits is rejected",
    (folder) =>
      change(
        `${folder}/${PROGRAM}`,
        inRun('void Promise.reject(new Error("lost")); await new Promise(() => {});'),
      ),
    /lost/,
  ],
  [
    "a timer throws",
    (folder) =>
      change(
        `${folder}/${PROGRAM}`,
        inRun(
          'setTimeout(() => { throw new Error("late"); }, 5); await new Promise((go) => setTimeout(go, 9999));',
        ),
      ),
    /late/,
  ],
  ["something odd is thrown", (folder) => change(`${folder}/${PROGRAM}`, inRun('throw "odd";')), /odd/],
];

for (const [name, spoil, says] of DEFECTS) {
  Deno.test(`a start that fails by an internal error ends with 1 and one line: ${name}`, () =>
    inFolder(async (place) => {
      const folder = `${place}/copy`;
      await Deno.mkdir(folder);
      await copyTree(`${ROOT}lib`, `${folder}/lib`);
      for (const file of ["main.ts", "deno.json", "deno.lock"]) {
        await Deno.copyFile(ROOT + file, `${folder}/${file}`);
      }
      await spoil(folder);
      const { code, said } = await run(folder, []);
      assert.equal(code, 1, said);
      assert.match(said, /^siprtmp: cannot start, internal error: [^\n]*\n$/);
      assert.match(said, says);
      assert.ok(!said.includes("\x1b"), said);
      const verbose = await run(folder, ["-d"]);
      assert.equal(verbose.code, 1, verbose.said);
      assert.match(verbose.said, says);
    }));
}
