// Many calls at once through the program as its own process and Kamailio: nothing is lost, nothing is left.

import assert from "node:assert/strict";
import { startKamailio } from "../support/kamailio.ts";
import { hasPeer } from "../support/peers.ts";
import { socketInodes } from "../../bench/process.ts";
import { type RunningProgram, startProgram } from "../support/program.ts";
import { RtmpPhone, speak } from "../support/rtmp_phone.ts";

const ignore = !hasPeer("kamailio");

const CALLS = 50;
const SECONDS = 30;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What is wrong with what a phone heard, in a few words; nothing when it heard just what was said. */
function difference(name: string, heard: readonly string[], wanted: readonly string[]): string[] {
  const first = wanted.findIndex((body, i) => heard[i] !== body);
  if (first < 0 && heard.length === wanted.length) return [];
  return [`${name}: ${heard.length} of ${wanted.length}, the first difference at ${first}`];
}

async function callEachOther(program: RunningProgram, kamailioPort: number, pair: number) {
  const connect = (name: string, more: { answers?: string[]; echo?: boolean }) =>
    RtmpPhone.connect({
      url: `rtmp://127.0.0.1:${program.rtmpPort}/sip/${name}@127.0.0.1:${kamailioPort}`,
      login: name,
      password: `${name}-secret`,
      ...more,
    });
  const callee = await connect(`callee${pair}`, { answers: ["pcmu"], echo: true });
  const caller = await connect(`caller${pair}`, {});
  caller.client.send("invite", `callee${pair}`, "pcmu");
  await caller.expect("accepted");
  await callee.expect("accepted");
  return { caller, callee };
}

Deno.test(
  { name: `${CALLS} calls at once for ${SECONDS} s through Kamailio lose nothing`, ignore },
  async () => {
    await using kamailio = await startKamailio();
    await using program = await startProgram();
    const idleSockets = socketInodes(program.pid).size;
    const calls = [];
    for (let pair = 0; pair < CALLS; pair++) calls.push(await callEachOther(program, kamailio.port, pair));
    const sent = await Promise.all(
      calls.map(({ caller }, pair) =>
        pause(pair * 7).then(() => speak(caller.speaking, { tag: 0x82, count: SECONDS * 50, size: 160 }))
      ),
    );
    await pause(1000);
    const wrong = calls.flatMap(({ caller, callee }, pair) => {
      const wanted = sent[pair]!.map((body) => body.join());
      return [["callee", callee], ["caller", caller]].flatMap(([name, phone]) =>
        difference(`${name} ${pair}`, (phone as RtmpPhone).audio.map((body) => body.join()), wanted)
      );
    });
    for (const { caller } of calls) caller.client.send("bye");
    for (const { callee } of calls) await callee.expect("byed");
    await Promise.all(
      calls.flatMap(({ caller, callee }) => [caller, callee].map((phone) => phone[Symbol.asyncDispose]())),
    );
    await pause(1500);
    const sockets = socketInodes(program.pid).size;
    // INVITEs with credentials can be longer than 1300 bytes: they go by one TCP connection, which is kept (RFC 3261 18.1.1).
    assert.ok(sockets - idleSockets <= 1, `no socket is left behind: ${idleSockets} before, ${sockets} now`);
    const said = program.output();
    const ends = said.split("\n").filter((line) => /call ended|dropped|slow/.test(line)).join("\n");
    assert.deepEqual(wrong, [], ends);
    assert.equal(
      said.match(/ 0 lost, 0 late, 0 from unknown sources/g)?.length,
      2 * CALLS,
      said.slice(-2000),
    );
    assert.equal(await program.stop("SIGTERM"), 0);
  },
);
