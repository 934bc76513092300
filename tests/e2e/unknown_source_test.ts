// An unknown source that finds the port of a call: neither before the phone's first packet nor in its silence does it get the
// call's sound, and nothing of it is heard.

import assert from "node:assert/strict";
import { openRawPhone, rawInDialog, rawInvite } from "../support/raw_phone.ts";
import { rtpBytes } from "../support/rtp_packets.ts";
import { RtmpPhone, speak } from "../support/rtmp_phone.ts";
import { startGateway, testSockets } from "../support/test_gateway.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Somebody at another address of this machine, or another port of the phone's, with what it was sent. */
function openUnknown(hostname: string) {
  const socket = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  let got = 0;
  const reading = (async () => {
    for await (const _ of socket) got++;
  })();
  return {
    got: () => got,
    async knock(port: number, count: number, firstByte = 0x80): Promise<void> {
      for (let n = 0; n < count; n++) {
        const bytes = rtpBytes({
          ssrc: 66,
          sequenceNumber: n,
          timestamp: 160 * n,
          payload: new Uint8Array(160).fill(0x11),
        });
        bytes[0] = firstByte;
        await socket.send(bytes, { transport: "udp", hostname: "127.0.0.1", port });
        await pause(20);
      }
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      await reading;
    },
  };
}

for (const sockets of [testSockets]) {
  for (
    const [what, sdpLines] of [["a phone that has not spoken", ""], [
      "a phone that only listens",
      "a=recvonly$",
    ]]
  ) {
    Deno.test(`${what} keeps its sound, whoever knocks (sockets ${sockets})`, async () => {
      await using running = await startGateway({ sockets });
      const { sipPort } = running.gateway;
      await using user = await RtmpPhone.connect({
        url: running.url(`user@127.0.0.1:${sipPort}`),
        answers: ["pcmu"],
      });
      using phone = openRawPhone();
      phone.send(
        rawInvite(phone, { user: "user", port: sipPort }, { callId: "s", sdpLines: sdpLines! }),
        sipPort,
      );
      const ok = await phone.receive(/ 200 /);
      phone.send(rawInDialog(phone, "ACK", 1, ok, "z9hG4bKack"), sipPort);
      await user.expect("accepted");
      const port = Number(/^m=audio (\d+)/m.exec(ok)?.[1]);
      await using elsewhere = openUnknown("127.0.0.2");
      await using beside = openUnknown("127.0.0.1");
      await Promise.all([elsewhere.knock(port, 20), elsewhere.knock(port + 1, 5), beside.knock(port, 5)]);
      const speaking = speak(user.speaking, { tag: 0x82, count: 25, size: 160 });
      for (let n = 0; n < 25; n++) assert.equal((await phone.receiveRtp()).length, 172);
      await speaking;
      if (sdpLines === "") { // it speaks, then is silent for longer than a lock once lasted
        phone.sendRtp(rtpBytes({ ssrc: 7, payload: new Uint8Array(160).fill(0x22) }), port);
        await pause(2_200);
        await Promise.all([elsewhere.knock(port, 20), beside.knock(port, 20)]);
        const again = speak(user.speaking, { tag: 0x82, count: 25, size: 160 });
        for (let n = 0; n < 25; n++) await phone.receiveRtp();
        await again;
      }
      assert.deepEqual([elsewhere.got(), beside.got()], [0, 0]);
      const strange = user.audio.filter((body) => body[1] === 0x11);
      assert.equal(strange.length, 0, "nothing of an unknown source is heard");
    });
  }
}
