// The Debian package as somebody lives with it: installed, run as its unit runs it, called through, upgraded with changed
// settings, removed and purged, in a Debian of its own. SIPRTMP_PROGRAM names another executable than that in dist/.

import assert from "node:assert/strict";
import { version } from "../../lib/config/config.ts";
import { makeDebianPackage } from "../../scripts/debian.ts";
import { executableName, TARGETS } from "../../scripts/release/targets.ts";
import { type DebianRoot, makeDebianRoot, run, type ServiceUser } from "../support/debian_root.ts";
import { until } from "../support/deploy_site.ts";
import { hasPeer } from "../support/peers.ts";
import { testProgram } from "../support/program_gateway.ts";

const DIST = new URL("../../dist/", import.meta.url).pathname;
const OWN = TARGETS.find(({ os, arch }) => os === Deno.build.os && arch === Deno.build.arch);
const PROGRAM = testProgram ?? existing(OWN === undefined ? "" : `${DIST}${executableName(version, OWN)}`);

/** Without an executable there is nothing to pack: CI names one. */
const here = PROGRAM !== undefined;
/** Somebody without rights. */
const OTHER_USER: ServiceUser = { user: "daemon", folder: "/" };
const SETTINGS = "/etc/siprtmp/siprtmp.toml";

function existing(path: string): string | undefined {
  try {
    return Deno.statSync(path).isFile ? path : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function inTempFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-package-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const makePackage = (folder: string, compression: "gzip" | "none" = "none") =>
  makeDebianPackage({ target: OWN!, executable: PROGRAM!, folder, compression });

async function must(what: Promise<{ code: number; said: string }>): Promise<string> {
  const { code, said } = await what;
  assert.equal(code, 0, said);
  return said;
}

Deno.test({
  name: "the package depends on the libraries that the executable names, in the versions it asks for",
  ignore: !here || !hasPeer("dpkg-deb", "readelf"),
}, () =>
  inTempFolder(async (folder) => {
    const depends = await must(run(["dpkg-deb", "--field", await makePackage(folder), "Depends"]));
    const elf = await must(run(["readelf", "--wide", "--dynamic", "--version-info", PROGRAM!]));
    const libraries = [...elf.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name!);
    const ofGlibc = /^(?:lib(?:c|m|dl|rt|pthread)|ld-linux.*)\.so\.\d+$/;
    assert.deepEqual(libraries.filter((name) => !ofGlibc.test(name)), ["libgcc_s.so.1"]);
    assert.match(depends, /\blibgcc-s1\b/);
    const versions = [...elf.matchAll(/Name: GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
    assert.match(depends, new RegExp(`\\blibc6 \\(>= 2\\.${Math.max(...versions)}\\)`));
  }));

Deno.test({
  name: "two packages of one executable are the same, and belong to root",
  ignore: !here || !hasPeer("dpkg-deb"),
}, () =>
  inTempFolder(async (folder) => {
    const sums: string[] = [];
    for (const name of ["first", "second"]) {
      await Deno.mkdir(`${folder}/${name}`);
      const path = await makePackage(`${folder}/${name}`);
      sums.push((await must(run(["sha256sum", path]))).split(" ")[0]!);
      const owners = (await must(run(["dpkg-deb", "--contents", path]))).trim().split("\n");
      for (const line of owners) assert.match(line, /^\S+ root\/root /);
      await Deno.remove(path);
    }
    assert.equal(sums[0], sums[1]);
  }));

Deno.test({
  name: "lintian has nothing to say against the package",
  ignore: !here || !hasPeer("dpkg-deb", "lintian"),
}, () =>
  inTempFolder(async (folder) => {
    const path = await makePackage(folder, "gzip");
    const lint = ["lintian", "--allow-root", "--no-cfg", "--fail-on=error,warning", path];
    const { code, said } = await run(lint);
    assert.equal(code, 0, said);
    assert.doesNotMatch(said, /^[EW]: /m);
  }));

Deno.test({
  name:
    "installed, it runs as its unit says and carries a call; upgraded, it keeps settings; purged, nothing is left",
  ignore: !here || Deno.uid() !== 0 || !hasPeer("dpkg-deb", "debootstrap", "unshare", "nsenter"),
}, () =>
  inTempFolder(async (folder) => {
    await using root = await makeDebianRoot();
    await install(root, await makePackage(folder));
    await writeSettings(root);
    await runAndCall(root);
    await upgrade(root, await newerPackage(folder));
    await runAndCall(root);
    await removeAndPurge(root);
  }));

async function install(root: DebianRoot, path: string): Promise<void> {
  await Deno.copyFile(path, `${root.folder}/siprtmp.deb`);
  const said = await must(root.run(["dpkg", "--install", "/siprtmp.deb"]));
  assert.doesNotMatch(said, /warning|error/i);
  assert.match(await must(root.run(["siprtmp", "--version"])), new RegExp(`^siprtmp ${version} `));
  const user = (await must(root.run(["getent", "passwd", "siprtmp"]))).trim().split(":");
  assert.deepEqual(user.slice(5), ["/var/lib/siprtmp", "/usr/sbin/nologin"]);
  await assertKeptFrom(root, SETTINGS);
  await assertKeptFrom(root, "/etc/siprtmp/users");
}

/** The service may read it, others may not: it can hold secrets. */
async function assertKeptFrom(root: DebianRoot, path: string): Promise<void> {
  assert.equal(await must(root.run(["stat", "-c", "%A %U %G", path])), "-rw-r----- root siprtmp\n");

  const { code, said } = await root.run(["cat", path], OTHER_USER);
  assert.equal(code, 1);
  assert.match(said, /Permission denied/);
}

const CHANGED =
  'int-ip = "127.0.0.1"\nsip-port = 5080\nsipd = "127.0.0.1:5070"\nrtmp-users = "/etc/siprtmp/users"\n';

async function writeSettings(root: DebianRoot): Promise<void> {
  await Deno.writeTextFile(`${root.folder}${SETTINGS}`, CHANGED, { append: true });
  const add = "echo correct-horse | siprtmp user add /etc/siprtmp/users alice";
  await must(root.run(["sh", "-c", add]));
  await assertKeptFrom(root, "/etc/siprtmp/users");
}

/** What systemd would do with the installed unit: its user, folder and command line. */
async function runAndCall(root: DebianRoot): Promise<void> {
  const { command, as } = await readUnit(root);
  await must(root.run(["install", "-d", "-m", "0755", "-o", as.user, "-g", as.user, as.folder]));
  const service = root.spawn(command, as);
  let log = "";
  const reading = (async () => {
    for await (const piece of service.stderr.pipeThrough(new TextDecoderStream())) log += piece;
  })();
  const kill = (signal: Deno.Signal): void => {
    try {
      service.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself: its log says why
    }
  };
  try {
    await until("it starts", () => /RTMP clients connect to/.test(log));
    const url = "rtmp://127.0.0.1/sip/alice@127.0.0.1:5070";
    const call = [
      "siprtmp",
      "call",
      "--duration",
      "2",
      "--login",
      "alice",
      "--password",
      "correct-horse",
      url,
    ];
    const said = await must(root.run([...call, "echo@127.0.0.1:5070"], OTHER_USER));
    assert.match(said, /packets +100 sent, (?:9\d|100) returned/);
    kill("SIGHUP");
    await until("it reloads", () => /reloaded/.test(log));
  } catch (error) {
    if (error instanceof Error) error.message += `\n${log}`;
    throw error;
  } finally {
    kill("SIGTERM");
    await service.status;
    await reading;
  }
  assert.equal((await service.status).code, 0, log);
  assert.match(log, /stopping: ending calls/);
  assert.doesNotMatch(log, / (?:warn|error) |internal error/);
}

async function readUnit(root: DebianRoot): Promise<{ command: string[]; as: ServiceUser }> {
  const unit = await Deno.readTextFile(`${root.folder}/usr/lib/systemd/system/siprtmp.service`);
  const valueOf = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(unit)?.[1] ?? "";
  return {
    command: valueOf("ExecStart").split(" "),
    as: { user: valueOf("User"), folder: valueOf("WorkingDirectory") },
  };
}

/** The next release: a higher version, other settings. */
async function newerPackage(folder: string): Promise<string> {
  const [old, tree, newer] = [`${folder}/siprtmp_${version}_*.deb`, `${folder}/tree`, `${folder}/newer.deb`];
  await must(run(["sh", "-c", `dpkg-deb --raw-extract ${old} ${tree}`]));
  const control = await Deno.readTextFile(`${tree}/DEBIAN/control`);
  await Deno.writeTextFile(
    `${tree}/DEBIAN/control`,
    control.replace(/^Version: .*$/m, `Version: ${version}+1`),
  );
  await Deno.writeTextFile(`${tree}${SETTINGS}`, "# of the next release\n", { append: true });
  await must(run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, newer]));
  await Deno.remove(tree, { recursive: true });
  return newer;
}

async function upgrade(root: DebianRoot, path: string): Promise<void> {
  const before = await Deno.readTextFile(`${root.folder}${SETTINGS}`);
  const users = await Deno.readTextFile(`${root.folder}/etc/siprtmp/users`);
  await Deno.copyFile(path, `${root.folder}/siprtmp.deb`);
  await must(root.run(["dpkg", "--force-confdef", "--install", "/siprtmp.deb"]));
  const installed = await must(root.run(["dpkg-query", "-W", "-f", "${Status} ${Version}", "siprtmp"]));
  assert.equal(installed, `install ok installed ${version}+1`);
  assert.equal(await Deno.readTextFile(`${root.folder}${SETTINGS}`), before);
  assert.match(await Deno.readTextFile(`${root.folder}${SETTINGS}.dpkg-dist`), /# of the next release\n$/);
  assert.equal(await Deno.readTextFile(`${root.folder}/etc/siprtmp/users`), users);
  await assertKeptFrom(root, SETTINGS);
  await assertKeptFrom(root, "/etc/siprtmp/users");
}

/** Removed: settings, users and recordings stay. Purged: nothing does. */
async function removeAndPurge(root: DebianRoot): Promise<void> {
  await Deno.writeTextFile(`${root.folder}/var/lib/siprtmp/recording.flv`, "FLV");
  await must(root.run(["dpkg", "--remove", "siprtmp"]));
  const there = async (path: string) => (await root.run(["test", "-e", path])).code === 0;
  const kept = [SETTINGS, "/etc/siprtmp/users", "/var/lib/siprtmp/recording.flv"];
  for (const path of kept) assert.ok(await there(path), path);
  assert.equal(await there("/usr/bin/siprtmp"), false);
  await must(root.run(["dpkg", "--purge", "siprtmp"]));
  await Deno.remove(`${root.folder}/siprtmp.deb`);
  const left = await must(root.run(["find", "/", "-xdev", "-name", "*siprtmp*"]));
  assert.equal(left, "");
  assert.notEqual((await root.run(["getent", "passwd", "siprtmp"])).code, 0);
  assert.notEqual((await root.run(["getent", "group", "siprtmp"])).code, 0);
}
