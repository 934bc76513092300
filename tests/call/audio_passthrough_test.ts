// What passes as it is, what is unpacked how, what is left to transcoding.
import assert from "node:assert/strict";
import {
  codecForPeer,
  codecForPlayer,
  codecOfClient,
  createPacketizer,
  createReceivedFormats,
  passesAsItIs,
} from "../../lib/call/audio_passthrough.ts";
import type { ClientAudio, SipAudio } from "../../lib/call/client_audio.ts";
import type { NegotiatedAudio, ReceivedAudio } from "../../lib/call/negotiation.ts";
import { FakeClock } from "../support/fake_clock.ts";

const received = (payloadType: number, codec: SipAudio, toClient: ClientAudio): ReceivedAudio => ({
  payloadType,
  codec,
  clockRate: codec === "speex" ? 16000 : codec === "opus" ? 48000 : 8000,
  toClient,
});

const line = { clockRate: 8000, sendPayloadType: 0, ptimeMs: null };
const PCMU: NegotiatedAudio = {
  kind: "pcmu",
  ...line,
  receive: [received(0, "pcmu", "pcmu"), received(8, "pcma", "pcmu"), received(9, "g722", "pcmu")],
};
const AAC: NegotiatedAudio = {
  kind: "transcode",
  from: "aac",
  to: "g722",
  ...line,
  receive: [received(9, "g722", "aac"), received(0, "pcmu", "aac")],
};
const OPUS: NegotiatedAudio = {
  kind: "opus",
  ...line,
  clockRate: 48000,
  receive: [received(107, "opus", "opus")],
};

Deno.test("both ends of each chain", () => {
  const table: [NegotiatedAudio, SipAudio, ClientAudio, ClientAudio][] = [
    [PCMU, "pcmu", "pcmu", "pcmu"],
    [AAC, "g722", "aac", "aac"],
    [OPUS, "opus", "opus", "opus"],
    [
      { ...PCMU, receive: [received(0, "pcmu", "pcmu"), received(9, "g722", "speex")] },
      "pcmu",
      "pcmu",
      "speex",
    ],
  ];
  for (const [chain, peer, client, player] of table) {
    assert.deepEqual([codecForPeer(chain), codecOfClient(chain), codecForPlayer(chain)], [
      peer,
      client,
      player,
    ]);
  }
});

Deno.test("equal codecs pass, and G.711 of either law", () => {
  assert.ok(passesAsItIs("speex", "speex") && passesAsItIs("opus", "opus"));
  assert.ok(passesAsItIs("pcma", "pcmu") && passesAsItIs("pcmu", "pcma"));
  assert.ok(
    !passesAsItIs("speex", "pcmu") && !passesAsItIs("aac", "opus") && !passesAsItIs("unknown", "speex"),
  );
});

Deno.test("every codec of a peer has a packetizer, but G.722, which no client sends", () => {
  const clock = new FakeClock();
  assert.ok(createPacketizer(PCMU, clock) !== null);
  assert.ok(createPacketizer(OPUS, clock) !== null);
  assert.equal(createPacketizer(AAC, clock), null);
});

Deno.test("payload types of the peer: unpacked when the client plays them, else left to transcoding", () => {
  const voices = createReceivedFormats(PCMU.receive, { clock: new FakeClock(), originMs: 0 });
  assert.ok(voices[0]?.pass && voices[8]?.pass && voices[9]?.pass === null);
  assert.deepEqual([voices[9]?.format.sampleRate, voices[9]?.clockRate], [16000, 8000]);
  assert.equal(voices[96], null);
  const exchanged: string[] = [];
  voices[8]!.pass!.push(new Uint8Array(160).fill(0xd5), 0, false, (frame) => {
    exchanged.push(`${frame.codec} ${frame.data.subarray(0, 2).toHex()}`);
  }, 0);
  assert.deepEqual(exchanged, ["pcmu fefe"]);
  const opus = createReceivedFormats(OPUS.receive, { clock: new FakeClock(), originMs: 0 })[107]!;
  const played: string[] = [];
  opus.pass?.push(Uint8Array.of(0xfc), 0, false, (frame) => played.push(frame.codec), 0);
  assert.deepEqual(played, ["opus"]);
});
