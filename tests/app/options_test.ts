import fc from "fast-check";
import assert from "node:assert/strict";
import { RECIPES } from "../../scripts/codecs/recipes.ts";
import { parseArguments, type ParsedCommand, readCallOptions, readSample } from "../../lib/app/options.ts";
import { ConfigError } from "../../lib/base/errors.ts";
import { licenceNotices } from "../../lib/app/build.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { settings } from "../../lib/config/settings.ts";
import type { TrialOptions } from "../../lib/tools/trial/trial_call.ts";

function named(name: string): Error {
  const error = new Error("(os error)");
  error.name = name;
  return error;
}

function readFile(path: string): string {
  if (path === "gw.toml") return 'port = 1936\nsipd = true\nrtp-ports = "30000-30009"';
  if (path === "bad.toml") return "port = = 1";
  if (path === "off.toml") return "sipd = false";
  if (path === "secret.toml") throw named("PermissionDenied");
  if (path === "odd.toml") throw new Error("Is a\ndoor");
  throw named("NotFound");
}

function parse(...args: string[]): ParsedCommand {
  return parseArguments(args, readFile);
}

function startConfig(...args: string[]) {
  const parsed = parse(...args);
  assert.equal(parsed.type, "start", JSON.stringify(parsed));
  return parsed.type === "start" ? parsed.config : assert.fail();
}

function printed(...args: string[]) {
  const parsed = parse(...args);
  assert.equal(parsed.type, "print", JSON.stringify(parsed));
  return parsed.type === "print" ? parsed : assert.fail();
}

Deno.test("start is the command when none is named", () => {
  assert.deepEqual(startConfig(), buildConfig({}));
  assert.deepEqual(startConfig("start"), buildConfig({}));
  assert.equal(startConfig("-d").verbosity, "debug");
  assert.equal(startConfig("start", "-D").verbosity, "trace");
  assert.equal(startConfig("-d", "start", "-p", "1940").rtmp.listen.port, 1940);
  assert.equal(startConfig("-d", "start", "-p", "1940").verbosity, "debug");
});

Deno.test("siprtmp's options in every spelling (behaviour 1.1)", () => {
  const short = startConfig(
    "-i",
    "127.0.0.1",
    "-p",
    "1940",
    "-r",
    "/tmp/",
    "-l",
    "10.0.0.5",
    "-e",
    "203.0.113.7",
  );
  const long = startConfig(
    "--host=127.0.0.1",
    "--port=1940",
    "--root=/tmp/",
    "--int-ip=10.0.0.5",
    "--ext-ip=203.0.113.7",
  );
  assert.deepEqual(short, long);
  assert.deepEqual(short.rtmp.listen, { hostname: "127.0.0.1", port: 1940 });
  assert.equal(short.rtmp.root, "/tmp/");
  assert.deepEqual([short.sip.bind, short.sip.advertise], ["10.0.0.5", "203.0.113.7"]);
  assert.equal(startConfig("-p1940").rtmp.listen.port, 1940);
});

Deno.test("the new options", () => {
  const config = startConfig(
    ..."--sip-port 5070 --rtp-ports 40000-40100 --outbound-proxy sip:proxy:5080 --expires 600".split(" "),
    ..."--max-connections 5 --max-calls 6 --rtmp-idle 30 --rtmp-ping 5 --sipd".split(" "),
  );
  assert.equal(config.sip.port, 5070);
  assert.deepEqual([config.rtp.portMin, config.rtp.portMax], [40000, 40100]);
  assert.equal(config.sip.outboundProxy?.host, "proxy");
  assert.equal(config.sip.expiresSeconds, 600);
  assert.deepEqual([config.limit.connections, config.limit.calls], [5, 6]);
  assert.deepEqual([config.rtmp.options.idleMs, config.rtmp.options.pingMs], [30_000, 5_000]);
  assert.deepEqual(config.sipd, { listen: { hostname: "127.0.0.1", port: 5060 }, portFallback: true });
  assert.deepEqual(startConfig("--sipd", "127.0.0.1:5090", "-d").sipd?.listen.port, 5090);
  assert.equal(startConfig("--sipd", "-d").verbosity, "debug");
});

Deno.test("a configuration file is read, and flags beat it", () => {
  const config = startConfig("--config", "gw.toml", "-p", "1950");
  assert.equal(config.rtmp.listen.port, 1950);
  assert.equal(config.rtp.portMin, 30000);
  assert.notEqual(config.sipd, null);
});

Deno.test("a file that cannot be read is one line and exit code 1", () => {
  const table: [path: string, text: string][] = [
    ["none.toml", "siprtmp: cannot read none.toml: there is no such file"],
    ["secret.toml", "siprtmp: cannot read secret.toml: permission denied"],
    ["odd.toml", "siprtmp: cannot read odd.toml: Is a door"],
  ];
  for (const [path, text] of table) {
    assert.deepEqual(printed("--config", path), { type: "print", text, exitCode: 1 });
  }
});

Deno.test("a wrong option is one line and exit code 2", () => {
  const table: [args: string[], text: RegExp][] = [
    [["--hots", "x"], /^siprtmp: unknown option '--hots' \(Did you mean --host\?\)$/],
    [["-x"], /^siprtmp: unknown option '-x'$/],
    [["-p"], /^siprtmp: option '-p, --port <port>' argument missing$/],
    [["-p", "abc"], /^siprtmp: --port must be a whole number from 0 to 65535, not "abc"$/],
    [["-p", "70000"], /^siprtmp: --port must be/],
    [["--rtp-ports", "5-1"], /^siprtmp: --rtp-ports must be a range/],
    [["-e", "auto"], /^siprtmp: ext-ip auto needs a server to ask: set stun-server/],
    [["-e", "any"], /^siprtmp: --ext-ip must be an IP address or auto, not "any"$/],
    [["calll"], /^siprtmp: there is no command calll \(Did you mean call\?\)$/],
    [["x"], /^siprtmp: too many words/],
    [["start", "x"], /^siprtmp: too many words/],
    [["call"], /^siprtmp: missing required argument 'url'$/],
    [["call", "rtmp://h/sip/a@h"], /^siprtmp: missing required argument 'sip-address'$/],
    [["call", "rtmp://h/sip/a@h", "b", "c"], /^siprtmp: too many words/],
    [["call", "ftp://h/", "b"], /^siprtmp: the URL must look like/],
    [
      ["call", "rtmp://h/sip/a@h", "b", "--codex", "pcmu"],
      /unknown option '--codex' \(Did you mean --codec\?\)$/,
    ],
    [["-d", "call", "rtmp://h/sip/a@h", "b"], /^siprtmp: options go after the command: siprtmp call/],
    [["-p", "1", "demo"], /^siprtmp: options go after the command: siprtmp demo/],
    [["demo", "--config", "off.toml"], /^siprtmp: the demo needs its SIP server/],
    [["demo", "--codec", "aac"], /^siprtmp: --codec must be one of/],
    [["help", "nothing"], /^siprtmp: /],
  ];
  for (const [args, text] of table) {
    const result = printed(...args);
    assert.match(result.text, text);
    assert.equal(result.exitCode, 2, args.join(" "));
    assert.doesNotMatch(result.text, /\n/);
  }
});

Deno.test("a fault inside the file shows the place, exit code 2", () => {
  assert.deepEqual(printed("--config", "bad.toml"), {
    type: "print",
    text: "siprtmp: bad.toml, line 1, column 8: invalid value\n  port = = 1\n         ^",
    exitCode: 2,
  });
});

Deno.test("call and its options", () => {
  const parsed = parse("call", "rtmp://h/sip/alice@h", "echo@h", "--codec", "pcma", "--password", "p", "-d");
  assert.deepEqual(parsed, {
    type: "call",
    call: {
      url: "rtmp://h/sip/alice@h",
      destination: "echo@h",
      source: { kind: "sample", codec: "pcma", durationSeconds: 10 },
      record: null,
      login: null,
      password: "p",
      displayName: null,
    },
    verbosity: "debug",
  });
});

Deno.test("the demo stays on this machine unless told otherwise", () => {
  const demo = parse("demo");
  assert.ok(demo.type === "demo");
  assert.deepEqual(demo.config.rtmp.listen, { hostname: "127.0.0.1", port: 1935 });
  assert.equal(demo.config.sip.bind, "127.0.0.1");
  assert.deepEqual(demo.config.sipd, { listen: { hostname: "127.0.0.1", port: 5060 }, portFallback: true });
  assert.deepEqual([demo.codec, demo.durationSeconds, demo.stay], ["speex", 10, true]);
  const other = parse("demo", "-i", "0.0.0.0", "--duration", "2", "--codec", "pcmu", "--once");
  assert.ok(other.type === "demo");
  assert.equal(other.config.rtmp.listen.hostname, "0.0.0.0");
  assert.deepEqual([other.codec, other.durationSeconds, other.stay], ["pcmu", 2, false]);
});

Deno.test("help names every option and command, with defaults", () => {
  for (const args of [["--help"], ["-h"], ["help"]]) {
    const { text, exitCode } = printed(...args);
    assert.equal(exitCode, 0);
    for (const [name, { value }] of Object.entries(settings)) {
      if (value !== "") assert.ok(text.includes(`--${name}`), name);
    }
    for (const word of ["start", "call", "demo", "user", "--config", "--version", "--licences"]) {
      assert.ok(text.includes(word), word);
    }
    assert.match(text, /--port <port>.*\(default: 1935\)/);
    assert.match(text, /--rtp-ports <min-max>.*\(default: 10000-20000\)/);
    assert.ok(text.split("\n").every((line) => line.length <= 100), text);
  }
  assert.match(printed("call", "--help").text, /--record <flv>/);
  assert.match(printed("help", "call").text, /--record <flv>/);
  const demo = printed("demo", "-h").text;
  assert.match(demo, /--once/);
  assert.match(demo, /--host <address>.*\(default: 127\.0\.0\.1\)/);
  assert.match(printed("user", "add", "--help").text, /<users-file>/);
  const user = printed("user"); // what to do with users is missing
  assert.match(user.text, /Usage: siprtmp user .*\badd\b/s);
  assert.equal(user.exitCode, 2);
});

Deno.test("no words a person can type make it throw or touch another file", () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "start",
      "call",
      "demo",
      "help",
      "-d",
      "-p",
      "--sipd",
      "--config",
      "gw.toml",
      "1935",
      "--",
      "rtmp://h/a",
    ),
  );
  fc.assert(fc.property(fc.array(word, { maxLength: 6 }), (args) => {
    const result = parseArguments(args, (path) => {
      assert.ok(args.some((arg) => arg.endsWith(path)));
      return readFile(path);
    });
    assert.match(result.type, /^(start|call|demo|add user|health|codecs|version|licences|print)$/);
  }));
});

Deno.test({
  name: "reading the command line needs no permission",
  permissions: "none",
  fn: () => {
    for (const args of [[], ["--help"], ["-x"], ["call"], ["demo"]]) parse(...args);
  },
});

Deno.test("a secret on a command line that cannot be used is not shown", () => {
  const table: string[][] = [
    ...[["--rtmp-tokn=hunter2"], ["--rtmp-tokn", "hunter2"], ["--rtmp-tokn hunter2"], [
      "--rtmp_token=hunter2",
    ]],
    ...[["--pasword=it's hunter2"], ["-x=hunter2"], ["--rtmp-token=hunter2"], ["start", "--token=hunter2"], [
      "hunter2",
    ]],
    ...[["demo", "--pwd=hunter2"], ["--pwd=x\n(Did you mean -hunter2?)"], [
      "--outbound-proxy",
      "sip:a:hunter2@h:xx",
    ]],
    ["call", "http://u:hunter2@h/sip/a@b", "bob"],
    ["call", "rtmp://h/sip/a@b", "bob", "--pasword", "hunter2"],
    ["call", "rtmp://h/sip/a@b", "bob", "--password=hunter2", "--login=x", "hunter2"],
  ];
  for (const args of table) {
    const parsed = parseArguments(args, () => "");
    assert.equal(parsed.type, "print", args.join(" "));
    assert.ok(parsed.type === "print" && parsed.exitCode === 2);
    assert.doesNotMatch(parsed.text, /hunter2/, args.join(" "));
  }
});

const read = (path: string): Promise<string> => Deno.readTextFile(new URL(`../../${path}`, import.meta.url));

Deno.test("FAAD2's notice stands by itself, as its authors want it", async () => {
  const notice = "Code from FAAD2 is copyright (c) Nero AG, www.nero.com";
  assert.ok(licenceNotices.split("\n").includes(notice));
  for (const path of ["README.md", "docs/licences.md", "scripts/codecs/aac_decoder_shim.c"]) {
    assert.ok((await read(path)).includes(notice), path);
  }
});

Deno.test("every codec library is named with the version that is built in", async () => {
  const document = await read("docs/licences.md");
  for (const { archive } of RECIPES) {
    const [, name, version] = /^(\w+(?:-[a-z]+)?)-([\d.]+)\.tar\.gz$/.exec(archive.fileName)!;
    const spoken = new RegExp(`${name}[^\n]*${version!.replaceAll(".", "\\.")}`, "i");
    assert.match(licenceNotices, spoken);
    assert.match(document, spoken);
  }
});

Deno.test("every npm package that the program imports is in the document", async () => {
  const { imports } = JSON.parse(await read("deno.json")) as { imports: Record<string, string> };
  const document = await read("docs/licences.md");
  for (const name of Object.keys(imports)) assert.ok(document.includes(name), name);
});

const url = "rtmp://localhost:1935/sip/alice@localhost";

Deno.test("a call with nothing said sends ten seconds of the Speex sample", () => {
  const expected: TrialOptions = {
    url,
    destination: "echo@localhost",
    source: { kind: "sample", codec: "speex", durationSeconds: 10 },
    record: null,
    login: null,
    password: "",
    displayName: null,
  };
  assert.deepEqual(readCallOptions(url, " echo@localhost ", {}), expected);
});

Deno.test("a call with everything said", () => {
  const values = {
    file: "in.flv",
    record: "out.flv",
    codec: "PCMU",
    duration: "2.5",
    login: "alice",
    password: "secret",
    name: "Alice",
  };
  assert.deepEqual(readCallOptions(url, "echo@localhost", values), {
    url,
    destination: "echo@localhost",
    source: { kind: "file", path: "in.flv", codec: "pcmu", durationSeconds: 2.5 },
    record: "out.flv",
    login: "alice",
    password: "secret",
    displayName: "Alice",
  });
});

Deno.test("a file is sent to its end with its own codec unless told otherwise", () => {
  assert.deepEqual(readCallOptions(url, "echo@localhost", { file: "in.flv" }).source, {
    kind: "file",
    path: "in.flv",
    codec: null,
    durationSeconds: null,
  });
});

Deno.test("what cannot be called is refused in words", () => {
  const table: [url: string, address: string, values: Record<string, unknown>, message: RegExp][] = [
    ["http://localhost/sip/a@b", "echo@b", {}, /URL must look like rtmp:/],
    ["rtmp://localhost", "echo@b", {}, /URL must look like/],
    ["rtmp:///sip/a@b", "echo@b", {}, /URL must look like/],
    ["alice", "echo@b", {}, /URL must look like .* not "alice"/],
    [url, " ", {}, /SIP address must look like/],
    [url, "echo@b\r\nX: y", {}, /SIP address must look like/],
    [url, "echo@b", { codec: "opus" }, /--codec must be one of speex, narrowband, pcmu, pcma, not "opus"/],
    [url, "echo@b", { duration: "0" }, /--duration must be/],
    [url, "echo@b", { duration: "-1" }, /--duration must be/],
    [url, "echo@b", { duration: "1e3" }, /--duration must be/],
    [url, "echo@b", { duration: "86401" }, /--duration must be/],
    [url, "echo@b", { duration: "ten", file: "x" }, /--duration must be .*not "ten"/],
  ];
  for (const [at, address, values, message] of table) {
    assert.throws(() => readCallOptions(at, address, values), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("the sample of the demo", () => {
  assert.deepEqual(readSample({}), { codec: "speex", durationSeconds: 10 });
  assert.deepEqual(readSample({ codec: "narrowband", duration: "3" }), {
    codec: "narrowband",
    durationSeconds: 3,
  });
});
