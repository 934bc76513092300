// The program as its user meets it: command line in, lines and exit code out.

import assert from "node:assert/strict";
import { besideSipServer, demoAddresses, type Host, logChanges, runProgram } from "../../lib/app/program.ts";
import { RecordLog } from "../support/record_log.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { loopbackPlaces } from "../../lib/gateway/access/target_policy.ts";
import { dialledByUrl, parseAppPath } from "../../lib/gateway/urls.ts";

const LOCAL = ["-i", "127.0.0.1", "-p", "0", "-l", "127.0.0.1", "--sip-port", "0"];

interface Recorded {
  host: Host;
  stop: AbortController;
  printed: string[];
  complained: string[];
}

function recordingHost(): Recorded {
  const stop = new AbortController();
  const printed: string[] = [];
  const complained: string[] = [];
  const host: Host = {
    build: { type: "source" },
    runtime: { deno: "2.0.0", v8: "14.0" },
    readFile: (path) => Deno.readTextFileSync(path),
    replaceFile: (path, text) => Deno.writeTextFile(path, text),
    readPassword: () => Promise.resolve("correct horse"),
    print: (text) => void printed.push(text),
    complain: (text) => void complained.push(text),
    started: () => {},
    stop: stop.signal,
    giveUp: () => {},
    onReload: () => {},
  };
  return { host, stop, printed, complained };
}

Deno.test("user add writes the file anew; a name or password that cannot be is one line and exit code 2", async () => {
  const { host, complained } = recordingHost();
  const written: [string, string][] = [];
  const replaceFile = (path: string, text: string) => Promise.resolve(void written.push([path, text]));
  const args = ["user", "add", "/nowhere/users", "alice"];
  assert.equal(await runProgram(args, { ...host, replaceFile }), 0);
  assert.match(written.join(), /^\/nowhere\/users,alice:/);
  const short = { ...host, replaceFile, readPassword: () => Promise.resolve("hunter2") };
  assert.equal(await runProgram(args, short), 2);
  assert.deepEqual(complained, ["siprtmp: a password has at least 8 characters"]);
  assert.equal(written.length, 1);
  const full = { ...host, replaceFile: () => Promise.reject(new Error("No space left on device")) };
  assert.equal(await runProgram(args, full), 1);
  assert.equal(complained.at(-1), "siprtmp: cannot write /nowhere/users: No space left on device");
});

const GIVEN_UP: { args: string[]; gives: string[] }[] = [
  { args: [], gives: ["write", "ffi"] },
  { args: ["--record"], gives: ["ffi"] },
  { args: ["--workers", "2"], gives: ["write"] },
  { args: ["--workers", "2", "--sockets", "deno"], gives: ["write", "ffi"] },
  { args: ["--workers", "2", "--record"], gives: [] },
];

for (const { args, gives } of GIVEN_UP) {
  Deno.test(`start ${args.join(" ")}: gives up ${gives.join(" and ") || "nothing"} before a port is open`, async () => {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const port = String((taken.addr as Deno.NetAddr).port);
    const { host } = recordingHost();
    const given: string[] = [];
    const code = await runProgram([...LOCAL, "-p", port, ...args], {
      ...host,
      giveUp: (names) => void given.push(...names),
    });
    assert.deepEqual([code, given], [1, gives]);
  });
}

const MISTAKES: { args: string[]; exitCode: number; says: RegExp }[] = [
  { args: ["--bogus"], exitCode: 2, says: /--bogus/ },
  { args: ["-p", "seventy"], exitCode: 2, says: /port.*"seventy"/ },
  { args: ["--config", "/nowhere/x.toml"], exitCode: 1, says: /\/nowhere\/x\.toml.*no such file/ },
  { args: ["call", "http://x", "echo"], exitCode: 2, says: /rtmp:\/\// },
  { args: ["cal"], exitCode: 2, says: /call/ },
  { args: ["call", "rtmp://h/sip/a@h", "b", "--pasword=hunter2"], exitCode: 2, says: /--pasword'/ },
  { args: ["--outbound-proxy", "sip:a:hunter2@h:xx"], exitCode: 2, says: /sip:a:\*{4}@h/ },
];

for (const { args, exitCode, says } of MISTAKES) {
  Deno.test(`siprtmp ${args.join(" ")}: one clear line, exit code ${exitCode}`, async () => {
    const { host, printed, complained } = recordingHost();
    assert.equal(await runProgram(args, host), exitCode);
    assert.deepEqual(printed, []);
    assert.equal(complained.length, 1);
    assert.match(complained[0]!, says);
    assert.doesNotMatch(complained[0]!, /\n\s+at |hunter2/);
  });
}

Deno.test("a busy RTMP port is one clear line and exit code 1", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { host, complained } = recordingHost();
  const args = [...LOCAL, "-p", String((taken.addr as Deno.NetAddr).port)];
  assert.equal(await runProgram(args, host), 1);
  assert.equal(complained.length, 1);
  assert.match(complained[0]!, /siprtmp: .*in use/);
});

Deno.test("a reload that comes before everything is open is harmless", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { host } = recordingHost();
  const reloads: Promise<void>[] = [];
  const eager: Host = { ...host, onReload: (reload) => void reloads.push(reload()) };
  const args = [...LOCAL, "-p", String((taken.addr as Deno.NetAddr).port)];
  assert.equal(await runProgram(args, eager), 1);
  assert.equal(reloads.length, 1);
  await reloads[0];
});

Deno.test("a busy SIP port that was asked for is one clear line and exit code 1", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { host, complained } = recordingHost();
  const args = [...LOCAL, "--sip-port", String((taken.addr as Deno.NetAddr).port)];
  assert.equal(await runProgram(args, host), 1);
  assert.match(complained[0]!, /siprtmp: .*port.* is taken/);
});

Deno.test("with workers: a busy RTMP port ends with 1, too few RTP ports with 2, one clear line each", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const busy = recordingHost();
  const port = String((taken.addr as Deno.NetAddr).port);
  assert.equal(await runProgram([...LOCAL, "--workers", "2", "-p", port], busy.host), 1);
  assert.match(busy.complained.join("\n"), /^siprtmp: Cannot listen on TCP 127\.0\.0\.1:\d+: .*in use.*$/);
  const few = recordingHost();
  assert.equal(await runProgram([...LOCAL, "--workers", "3", "--rtp-ports", "20000-20003"], few.host), 2);
  assert.equal(
    few.complained.join("\n"),
    "siprtmp: rtp-ports 20000-20003 hold 2 pairs, too few for 3 workers",
  );
});

Deno.test("call prints no password, wherever it was written", async () => {
  const { host, printed, complained } = recordingHost();
  const args = ["call", "rtmp://127.0.0.1:1/sip/me:hunter2@h", "sip:you:hunter2@h", "--password", "hunter2"];
  assert.equal(await runProgram(args, host), 1);
  assert.match(printed[0]!, /calling sip:you:\*{4}@h through rtmp:\/\/127\.0\.0\.1:1\/sip\/me:\*{4}@h/);
  assert.doesNotMatch([...printed, ...complained].join("\n"), /hunter2/);
});

Deno.test("start ends with 0 when it is told to stop", async () => {
  const { host, stop } = recordingHost();
  setTimeout(() => stop.abort(), 100);
  assert.equal(await runProgram(LOCAL, host), 0);
});

Deno.test("the demo makes one call without loss, says so, and prints what to try", async () => {
  const { host, stop, printed } = recordingHost();
  const args = ["demo", ...LOCAL, "--sipd", "127.0.0.1:0", "--duration", "0.5"];
  const running = runProgram(args, host);
  while (!printed.some((text) => text.includes("Still running"))) {
    await new Promise((go) => setTimeout(go, 20));
  }
  stop.abort();
  assert.equal(await running, 0);
  const text = printed.join("\n");
  assert.match(text, /lost {11}0 of 25 \(0\.0 %\)/);
  assert.match(text, /It works: everything you sent came back/);
  assert.match(text, /ffmpeg .*dial=echo/);
});

Deno.test("the gateway starts behind the port of the built-in server, unless its own was asked for", () => {
  const usual = buildConfig({ flags: { sipd: true } });
  assert.equal(besideSipServer(usual, 5060).sip.port, 5061);
  assert.deepEqual(besideSipServer(usual, 5070).sip, usual.sip);
  assert.deepEqual(besideSipServer(usual, 5070).entrance.targets.open.slice(-2), loopbackPlaces(5070));
  assert.equal(besideSipServer(usual, undefined), usual);
  const asked = buildConfig({ flags: { "sip-port": "5060" } });
  assert.deepEqual(besideSipServer(asked, 5060).sip, asked.sip);
});

const ADDRESSES = demoAddresses(
  { hostname: "0.0.0.0", port: 1936 },
  { hostname: "127.0.0.1", port: 5062 },
  "deno task",
);

Deno.test("the demo's own URL connects to loopback when the gateway listens everywhere", () => {
  assert.equal(ADDRESSES.url, "rtmp://127.0.0.1:1936/sip/demo@127.0.0.1:5062");
});

Deno.test("the URLs to paste are ones the gateway understands", () => {
  const pasted = [...ADDRESSES.text.matchAll(/"rtmp:\/\/[^/]+\/(sip\/[^?]+)\?([^/]+)\/(\w+)"/g)];
  assert.equal(pasted.length, 2);
  const numbers = pasted.map(([, app, query]) => {
    const path = parseAppPath(app!);
    assert.ok(path.type === "sip" && path.address.endsWith("@127.0.0.1:5062"), app);
    return dialledByUrl(query!)?.destination;
  });
  assert.deepEqual(numbers, ["tone", "echo"]);
});

Deno.test("IPv6 addresses are bracketed", () => {
  const { url } = demoAddresses({ hostname: "::1", port: 1935 }, { hostname: "::1", port: 5060 }, "siprtmp");
  assert.equal(url, "rtmp://[::1]:1935/sip/demo@[::1]:5060");
});

Deno.test("a reload tells which settings of the file wait for a restart, without their values", () => {
  const sources = { file: { name: "gw.toml", text: 'port = 1935\nrtmp-token = "0123456789abcdef"' } };
  const table: [read: () => string, line: RegExp | null][] = [
    [() => sources.file.text, null],
    [
      () => 'port = 1936\nrtmp-token = "hunter2hunter2hunter2"',
      /warn.* gw\.toml has changed, restart to apply: port, rtmp-token$/,
    ],
    [
      () => 'rtmp-token = "hunter2"',
      /error.* gw\.toml, line 1, column 1: rtmp-token must be .*; a restart would fail$/,
    ],
    [() => {
      throw Object.assign(new Error("(os error 2)"), { name: "NotFound" });
    }, /error.* cannot read gw\.toml: there is no such file; a restart would fail$/],
  ];
  for (const [read, line] of table) {
    const log = new RecordLog();
    logChanges(sources, read, log);
    assert.equal(log.lines.length, line === null ? 0 : 1);
    if (line !== null) assert.match(log.lines[0]!, line);
    assert.doesNotMatch(log.lines.join(), /hunter2/);
  }
  const log = new RecordLog();
  logChanges({}, () => assert.fail("there is no file"), log);
  assert.deepEqual(log.lines, []);
});
