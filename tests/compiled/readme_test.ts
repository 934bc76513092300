// What README says to do with a downloaded file, pasted into a shell.

import assert from "node:assert/strict";
import { inFolder } from "../support/live_flv.ts";
import { blocksOf } from "../support/readme.ts";

const DIST = new URL("../../dist/", import.meta.url).pathname;
const FREE = "-p 0 --sip-port 0 --sipd 127.0.0.1:0 --once --duration 1";

Deno.test({
  name: "README: checked, made executable, run",
  ignore: Deno.build.os !== "linux" || Deno.build.arch !== "x86_64", // the machine that README's commands name
}, () =>
  inFolder(async (folder) => {
    for await (const { name } of Deno.readDir(DIST)) {
      if (name !== "SHA256SUMS" && !/-x86_64-unknown-linux-gnu$/.test(name)) continue;
      await Deno.copyFile(`${DIST}${name}`, `${folder}/${name}`);
      await Deno.chmod(`${folder}/${name}`, 0o644); // as downloaded
    }
    const [block = ""] = await blocksOf("sh");
    assert.match(block, / demo\n$/);
    const script = `set -e\n${block.trimEnd()} ${FREE}`;
    const shell = new Deno.Command("sh", {
      args: ["-c", script],
      cwd: folder,
      clearEnv: true,
      stdin: "null",
    });
    const { code, stdout, stderr } = await shell.output();
    const [printed, said] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert.equal(code, 0, `${printed}\n${said}`);
    assert.match(printed!, /^siprtmp-\S+-x86_64-unknown-linux-gnu: OK$/m);
    assert.match(printed!, /packets +50 sent, 50 returned/);
  }));
