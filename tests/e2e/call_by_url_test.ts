// Calls of programs that can only publish and play, over real sockets: an RTMP client, the gateway, and a SIP phone.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { silentLog } from "../../lib/base/log.ts";
import { clientFormat } from "../support/audio_formats.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { Phones } from "../../scripts/quality/phones.ts";
import { codecs, tone } from "../support/codecs_audio.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { audioTag, built, encodeAudio, PlayerEar } from "../support/transcode_bench.ts";
import { measureTone } from "../../scripts/quality/measure.ts";
import { StreamProgram, until } from "../support/stream_program.ts";
import { header, openRawPhone, rawAnswer } from "../support/raw_phone.ts";

const KEY = "a-key-of-sixteen-letters";

function account(more = ""): string {
  return `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\n${more}\n`;
}

function urlOf({ gateway }: TestGateway, path: string): string {
  return `rtmp://127.0.0.1:${gateway.rtmp.port}/${path}`;
}

async function idle(running: TestGateway): Promise<void> {
  await until("nothing is left", () => {
    const { connections, calls, rtpPorts } = running.gateway.usage;
    return connections + calls + rtpPorts === 0;
  });
}

Deno.test({
  name:
    "a program that publishes AAC calls a G.722 phone by URL, and two players hear what it says come back",
  ignore: !built,
}, async () => {
  await using running = await startGateway({}, account(`key = "${KEY}"`));
  await using phones = Phones.open({
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    dns: systemDns,
    codecs,
  });
  const dest = `sip:g722@127.0.0.1:${phones.port}`;
  await using early = await StreamProgram.connect(urlOf(running, "call/desk"));
  await early.play(`${dest}?key=${KEY}`);
  await using publisher = await StreamProgram.connect(urlOf(running, `call/desk?key=${KEY}`));
  await publisher.publish(encodeURIComponent(dest));
  const format = clientFormat("aac");
  const said = encodeAudio(format, tone(1004, format.sampleRate, 3000));
  publisher.send(8, 0, audioTag("aac", said.config!, true));
  const speaking = publisher.speak(said.packets.map((packet) => audioTag("aac", packet)), said.packetMs);
  await until("the call is up", () => publisher.codes.includes("NetStream.Call.Accepted"));
  await using late = await StreamProgram.connect(urlOf(running, "call"));
  await late.play(`desk/${dest}?key=${KEY}`);
  await speaking;
  for (const player of [early, late]) {
    using ear = new PlayerEar();
    for (const { body } of player.audio) ear.hear(body);
    assert.deepEqual([...ear.codecs], ["aac"]);
    const heard = ear.all();
    const inner = heard.subarray(heard.length - 1.3 * ear.sampleRate, heard.length - 0.3 * ear.sampleRate);
    const { levelDb, snrDb } = measureTone(inner, 1004, ear.sampleRate, 10000);
    assert.ok(Math.abs(levelDb) < 1 && snrDb > 14, `${levelDb} dB, SNR ${snrDb} dB`);
  }
  publisher.stop();
  await until(
    "the players are told",
    () => [early, late].every(({ codes }) => codes.includes("NetStream.Play.UnpublishNotify")),
  );
  await until("the call is over", () => running.gateway.usage.calls === 0);
  await Promise.all([early.close(), late.close(), publisher.close()]);
  await idle(running);
});

const ULAW = new Uint8Array(161).fill(0x82);

/** A response of the raw phone to an INVITE, without a body. */
function rawResponse(invite: string, status: string): string {
  return `SIP/2.0 ${status}$Via: ${header(invite, "Via")}$From: ${header(invite, "From")}$To: ${
    header(invite, "To")
  };tag=d1$Call-ID: ${header(invite, "Call-ID")}$CSeq: ${header(invite, "CSeq")}$Content-Length: 0$$`;
}

Deno.test("ringing, a refusal and its reason reach the publisher, and its connection ends", async () => {
  await using running = await startGateway({}, account());
  using phone = openRawPhone();
  const { sipPort } = running.gateway;
  await using publisher = await StreamProgram.connect(urlOf(running, "call/desk"));
  await publisher.publish(`sip:bob@127.0.0.1:${phone.port}`);
  publisher.send(8, 0, ULAW);
  const invite = await phone.receive(/^INVITE/);
  assert.match(header(invite, "From"), /<sip:desk@127\.0\.0\.1>/);
  phone.send(rawResponse(invite, "180 Ringing"), sipPort);
  await until("it rings", () => publisher.codes.includes("NetStream.Call.Ringing"));
  phone.send(rawResponse(invite, "486 Busy Here"), sipPort);
  await phone.receive(/^ACK/);
  await until("the connection ends", () => publisher.ended);
  assert.deepEqual(publisher.words.slice(-4), [
    "NetStream.Call.Ringing: 180 Ringing",
    "NetStream.Call.Rejected: 486 Busy Here",
    "NetStream.Unpublish.Success: 486 Busy Here",
    "NetConnection.Connect.Closed: 486 Busy Here",
  ]);
  assert.match(
    running.lines(),
    /account desk: call to sip:bob@127\.0\.0\.1:\d+: call to bob@127\.0\.0\.1 failed: 486 Busy Here/,
  );
  await idle(running);
});

Deno.test("nobody answers in time: CANCEL, another attempt, then the remote party hears the publisher", async () => {
  await using running = await startGateway({}, account("answer-timeout = 1\nredial = 1\nredial-delay = 1"));
  using phone = openRawPhone();
  const { sipPort } = running.gateway;
  await using publisher = await StreamProgram.connect(urlOf(running, "call/desk"));
  await publisher.publish(`bob@127.0.0.1:${phone.port}`);
  publisher.send(8, 0, ULAW);
  const first = await phone.receive(/^INVITE/);
  phone.send(rawResponse(first, "180 Ringing"), sipPort);
  phone.send(rawResponse(await phone.receive(/^CANCEL/), "200 OK"), sipPort);
  phone.send(rawResponse(first, "487 Request Terminated"), sipPort);
  const second = await phone.receive(/^INVITE/);
  assert.notEqual(header(second, "Call-ID"), header(first, "Call-ID"));
  phone.send(rawAnswer(phone, second, "0"), sipPort);
  await until("the call is up", () => publisher.codes.includes("NetStream.Call.Accepted"));
  assert.match(publisher.words.join("\n"), /Call\.Retrying: no answer; dialled again in [12] s/);
  publisher.send(8, 20, ULAW);
  assert.deepEqual((await phone.receiveRtp()).subarray(12), ULAW.subarray(1));
  publisher.stop();
  const bye = await phone.receive(/^BYE/);
  phone.send(rawResponse(bye, "200 OK").replace(";tag=d1", ""), sipPort);
  await publisher.close();
  await idle(running);
});

/** How far the call is. */
const STATES = ["no media yet", "dialing", "ringing", "talking"] as const;

for (const state of STATES) {
  for (const end of ["the publisher leaves", "the gateway stops"] as const) {
    Deno.test(`${end} while ${state}: the phone is told, nothing is left`, async () => {
      await using running = await startGateway({}, account());
      using phone = openRawPhone();
      const { gateway } = running;
      await using publisher = await StreamProgram.connect(urlOf(running, "call/desk"));
      await publisher.publish(`bob@127.0.0.1:${phone.port}`);
      let invite = "";
      if (state !== "no media yet") {
        publisher.send(8, 0, ULAW);
        invite = await phone.receive(/^INVITE/);
        if (state === "dialing") phone.send(rawResponse(invite, "100 Trying"), gateway.sipPort);
        if (state === "ringing") phone.send(rawResponse(invite, "180 Ringing"), gateway.sipPort);
        if (state === "talking") phone.send(rawAnswer(phone, invite, "0"), gateway.sipPort);
        if (state === "talking") {
          await until("the call is up", () => publisher.codes.includes("NetStream.Call.Accepted"));
        }
      }
      if (state === "dialing") await until("100 was heard", () => /100 Trying/.test(running.lines()));
      const ended = end === "the publisher leaves" ? publisher.close() : gateway[Symbol.asyncDispose]();
      if (state === "talking") {
        const bye = await phone.receive(/^BYE/);
        phone.send(rawResponse(bye, "200 OK").replace(";tag=d1", ""), gateway.sipPort);
      } else if (state !== "no media yet") {
        const cancel = await phone.receive(/^CANCEL/);
        phone.send(rawResponse(cancel, "200 OK"), gateway.sipPort);
        phone.send(rawResponse(invite, "487 Request Terminated"), gateway.sipPort);
      }
      await ended;
      await idle(running);
      await publisher.close();
    });
  }
}
