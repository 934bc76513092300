import assert from "node:assert/strict";

const MODULE = new URL("../../lib/net/permissions.ts", import.meta.url);

/** A process of its own: what is given up does not come back. */
async function said(script: string): Promise<unknown> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", `import { giveUp } from "${MODULE}"; ${script}`],
  }).output();
  assert.equal(new TextDecoder().decode(stderr), "");
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("what was given up is refused, to every thread; the rest stays", async () => {
  const states = `["ffi", "write", "net", "read"].map((name) => Deno.permissions.querySync({ name }).state)`;
  const worker = `data:text/javascript,self.postMessage(${states});self.close()`;
  const script = `
    giveUp(["ffi", "write"]);
    const worker = new Worker(${JSON.stringify(worker)}, { type: "module" });
    worker.onmessage = ({ data }) => console.log(JSON.stringify([${states}, data]));
  `;
  const states4 = ["prompt", "prompt", "granted", "granted"];
  assert.deepEqual(await said(script), [states4, states4]);
});

Deno.test({
  name: "system calls go on without the permission to open their library, and say what failed",
  ignore: Deno.build.os !== "linux",
}, async () => {
  const sockets = new URL("../../lib/net/sockets.ts", import.meta.url);
  const script = `
    const { openSockets } = await import("${sockets}");
    using sockets = openSockets("linux");
    giveUp(["ffi"]);
    using socket = sockets.bindUdp({ hostname: "127.0.0.1", port: 0 });
    const failures = [];
    for (const open of [() => sockets.bindUdp(socket.local), () => openSockets("linux"), () => Deno.dlopen("libc.so.6", {})]) {
      try { open(); } catch (error) { failures.push(error.name + ": " + error.message.split(" (")[0]); }
    }
    console.log(JSON.stringify([sockets.kind, socket.local.port > 0, ...failures]));
  `;
  const [kind, bound, taken, again, library] = await said(script) as string[];
  assert.deepEqual([kind, bound], ["linux", true]);
  assert.match(taken!, /^TransportError: .*Address already in use/);
  assert.match(again!, /^ConfigError: sockets linux needs/);
  assert.match(library!, /^NotCapable/);
});
