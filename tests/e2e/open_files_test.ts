// The program with too few file descriptors, and more connections than it has: one line, no busy loop, and whoever comes
// when there are some again is served.

import assert from "node:assert/strict";
import { silentLog } from "../../lib/base/log.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const LOCAL = "-i 127.0.0.1 -p 0 -l 127.0.0.1 --sip-port 0 --rtmpt-port 0";
const OPEN_FILES = 64;

async function waitFor<T>(what: () => T | null | undefined | false, text: () => string): Promise<T> {
  for (let tries = 0; tries < 600; tries++) {
    const found = what();
    if (found) return found;
    await new Promise((go) => setTimeout(go, 50));
  }
  throw new Error(`it did not come to that:\n${text()}`);
}

for (const sockets of ["deno", "linux"]) {
  for (const door of ["RTMP", "RTMPT", "SIP over TCP"]) {
    const ignore = sockets === "linux" && Deno.build.os !== "linux" || Deno.build.os === "windows";
    Deno.test({
      name: `${door}, ${sockets} sockets: too many open files is one line, and it goes on afterwards`,
      ignore,
    }, async () => {
      const permissions = "--allow-net --allow-read --allow-sys=networkInterfaces --allow-ffi";
      const command = `deno run --no-prompt ${permissions} main.ts ${LOCAL} --sockets ${sockets}`;
      const process = new Deno.Command("sh", {
        args: ["-c", `ulimit -n ${OPEN_FILES}; exec ${command}`],
        cwd: ROOT,
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      let said = "";
      const reading = (async () => {
        const decoder = new TextDecoder();
        for await (const piece of process.stderr) said += decoder.decode(piece);
      })();
      const crowd: Deno.Conn[] = [];
      try {
        const started = await waitFor(
          () => /connect to 127\.0\.0\.1:(\d+); SIP uses port (\d+)/.exec(said),
          () => said,
        );
        const tunnel = /RTMPT clients connect to 127\.0\.0\.1:(\d+)/.exec(said)!;
        const port = Number(door === "RTMP" ? started[1] : door === "RTMPT" ? tunnel[1] : started[2]);
        for (let i = 0; i < 2 * OPEN_FILES; i++) {
          crowd.push(await Deno.connect({ hostname: "127.0.0.1", port }));
        }
        await waitFor(() => /Too many open files/.test(said), () => said);
        await new Promise((go) => setTimeout(go, 1500));
        const lines = said.split("\n").filter((line) =>
          /^\d.* (?:warn|error) .*Too many open files/.test(line)
        );
        assert.equal(lines.length, 1, said);
        assert.match(
          lines[0]!,
          /warn .*Cannot accept a connection: Too many open files.*accepting pauses: raise the limit/,
        );
        for (const conn of crowd.splice(0)) conn.close();
        const options = { log: silentLog, clock: systemClock, random: systemRandom, timeoutMs: 20_000 };
        await using _client = await RtmpClient.open(`rtmp://127.0.0.1:${started[1]}/live`, options);
      } finally {
        for (const conn of crowd) conn.close();
        process.kill("SIGTERM");
        await process.status;
        await reading;
      }
    });
  }
}
