// DTMF against SIPp, all ways: events and INFO from it, INFO to it, and sound to one that takes neither.

import assert from "node:assert/strict";
import { hasPeer } from "../support/peers.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { startSipp } from "../support/sipp.ts";
import { startGateway } from "../support/test_gateway.ts";

const ignore = !hasPeer("sipp");
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Every key that came and was not asked for yet, in order: "5/160". */
async function keysOf(phone: RtmpPhone): Promise<string[]> {
  const keys: string[] = [];
  while (phone.callbacks.size > 0) {
    const callback = await phone.callbacks.next();
    if (callback?.name === "receivedDTMF") keys.push(callback.args.join("/"));
  }
  return keys;
}

Deno.test({
  name: "SIPp presses keys as RTP events and in INFO: each is told once, a broken INFO hears 415",
  ignore,
}, async () => {
  await using running = await startGateway();
  await using phone = await RtmpPhone.connect({
    url: running.url("me@127.0.0.1"),
    answers: ["pcmu", "dtmf"],
  });
  const target = `127.0.0.1:${running.gateway.sipPort}`;
  await using sipp = await startSipp({ scenario: "caller_dtmf", target, service: "me" });
  const { ok, report } = await sipp.finished();
  assert.ok(ok, report);
  const keys = await keysOf(phone);
  assert.deepEqual(keys.map((key) => key.split("/")[0]), ["1", "5", "*", "#", "7", "9"]);
  assert.deepEqual(keys.slice(4), ["7/250", "9/160"]);
});

for (const [mode, codecs] of [["auto", ["pcmu", "dtmf"]], ["info", ["pcmu", "dtmf"]]] as const) {
  Deno.test({
    name: `keys to SIPp, which knows no events, go in INFO one after the other (dtmf ${mode})`,
    ignore,
  }, async () => {
    await using sipp = await startSipp({ scenario: "callee_info" });
    await using running = await startGateway({ dtmf: mode });
    await using phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
    phone.client.send("invite", `sip:x@127.0.0.1:${sipp.port}`, ...codecs);
    assert.deepEqual(await phone.expect("accepted"), ["pcmu", null]);
    await phone.client.call("sendDTMF", "4*", 100);
    await phone.client.call("sendDTMF", "D");
    phone.client.send("bye");
    const { ok, report } = await sipp.finished();
    assert.ok(ok, report);
    const bodies = [...report.matchAll(/Signal=(\S)\s+Duration=(\d+)/g)].map((match) =>
      `${match[1]}/${match[2]}`
    );
    assert.deepEqual(bodies, ["4/100", "*/100", "D/160"]);
  });
}

Deno.test({
  name: "keys to SIPp, which knows no events and refuses INFO, go as sound: its echo brings each back once",
  ignore,
}, async () => {
  await using sipp = await startSipp({ scenario: "callee_no_info", args: ["-rtp_echo"] });
  await using running = await startGateway();
  await using phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
  phone.client.send("invite", `sip:x@127.0.0.1:${sipp.port}`, "pcmu", "dtmf");
  assert.deepEqual(await phone.expect("accepted"), ["pcmu", null]);
  await phone.client.call("sendDTMF", "159D", 80);
  await phone.client.call("sendDTMF", "0#", 50);
  const keys: string[] = [];
  for (let i = 0; i < 6; i++) keys.push(String((await phone.expect("receivedDTMF"))[0]));
  assert.deepEqual(keys, ["1", "5", "9", "D", "0", "#"]);
  await pause(300);
  assert.deepEqual(await keysOf(phone), [], "no key twice");
  assert.match(running.lines(), /DTMF by INFO rejected: 405 Method Not Allowed/);
  phone.client.send("bye");
  const { ok, report } = await sipp.finished();
  assert.ok(ok, report);
});
