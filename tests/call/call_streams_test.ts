import assert from "node:assert/strict";
import { CallStreams, type MediaKind } from "../../lib/call/call_streams.ts";
import { type AgreedMedia } from "../../lib/sdp/agreed_media.ts";
import { settle } from "../support/fake_clock.ts";
import { type FakeMediaBench, fakeMediaBench } from "../support/gateway_media.ts";
import { rtpBytes } from "../support/rtp_packets.ts";

const HERE = "192.0.2.1";

function open(bench: FakeMediaBench, ...kinds: MediaKind[]): CallStreams {
  return new CallStreams(kinds, { services: bench.services, log: bench.log, localAddress: HERE, bind: HERE });
}

function agreed(kind: MediaKind, hostname: string | null, port = 4000): AgreedMedia {
  const at = (up: number) => hostname === null ? null : { hostname, port: port + up };
  const format = { name: "pcmu", clockRate: 8000, channels: 1, fmtp: null, localFmtp: null, rtcpFb: [] };
  return {
    kind,
    index: 0,
    remote: at(0),
    rtcpRemote: at(1),
    direction: "sendrecv",
    heldByRemote: false,
    formats: [{ ...format, sendPayloadType: 0, receivePayloadTypes: [0] }],
    telephoneEvent: null,
    telephoneEvents: [],
    redundancy: null,
    comfortNoise: [],
    ptimeMs: null,
  };
}

for (const kind of ["audio", "video"] as const) {
  Deno.test(`call streams: ${kind} goes as described until the peer is heard, and no unknown source is`, async () => {
    await using bench = fakeMediaBench();
    using streams = open(bench, "audio", "video");
    const session = streams.session(kind, 8000);
    const got = { phone: 0, thief: 0, nat: 0 };
    const sockets = Object.entries({ phone: "10.0.0.5", thief: "203.0.113.66", nat: "198.51.100.9" })
      .map(([name, hostname]) => [name, bench.network.bind({ hostname, port: 4000 })] as const);
    const running = sockets.map(([name, socket]) => socket.run(() => void got[name as "phone"]++));
    const { thief, nat } = Object.fromEntries(sockets);
    streams.direct(agreed(kind, "10.0.0.5"), ["198.51.100.9"]);
    const at = { hostname: HERE, port: streams.port(kind) };
    let heard = 0;
    session.receiver = { fromRtp: () => void heard++ };
    const say = async (socket: typeof nat, ssrc: number, sequenceNumber: number) => {
      socket!.send(rtpBytes({ ssrc, sequenceNumber, payload: new Uint8Array(9) }), at);
      await settle();
      session.send(new Uint8Array(160), sequenceNumber * 160, false, 0);
      await settle();
    };
    for (let n = 1; n <= 5; n++) await say(thief, 66, n);
    assert.deepEqual([got, heard], [{ phone: 5, thief: 0, nat: 0 }, 0]);
    for (let n = 1; n <= 5; n++) await say(nat, 7, n);
    await bench.clock.advanceAsync(2_100);
    for (let n = 6; n <= 10; n++) await say(thief, 66, n);
    assert.deepEqual([got, heard], [{ phone: 5, thief: 0, nat: 10 }, 5]);
    assert.match(streams.summary().join(), new RegExp(`^${kind} packets: .* 10 from unknown sources$`));
    for (const [, socket] of sockets) socket.close();
    await Promise.all(running);
  });
}

Deno.test("call streams: a name instead of an address is told, and sent to once the peer has been heard", async () => {
  await using bench = fakeMediaBench();
  using streams = open(bench, "audio");
  const session = streams.session("audio", 8000);
  streams.direct(agreed("audio", "media_1.example.com"), ["198.51.100.9"]);
  assert.match(bench.log.at("warn").join(), /"media_1.example.com"/);
  assert.equal(session.target, null);
  const phone = bench.network.bind({ hostname: "198.51.100.9", port: 61000 });
  phone.send(rtpBytes({ payload: new Uint8Array(9) }), { hostname: HERE, port: streams.port("audio") });
  await settle();
  assert.deepEqual(session.target, phone.local);
  phone.close();
});

Deno.test("call streams: nothing but ports before a clock rate is known; all are freed", async () => {
  await using bench = fakeMediaBench();
  const streams = open(bench, "audio");
  assert.deepEqual([streams.port("audio") > 0, streams.port("video"), streams.summary()], [true, 0, []]);
  streams.direct(agreed("audio", "192.0.2.5"), []);
  assert.throws(() => streams.session("video", 90_000));
  assert.equal(streams.session("audio", 8000), streams.session("audio", 16_000));
  streams[Symbol.dispose]();
  assert.equal(bench.services.ports.inUse, 0);
});

const PEERS:
  readonly (readonly [described: string | null, signalling: string[], from: string, oddity: string])[] = [
    ["192.0.2.5", ["192.0.2.5"], "192.0.2.5:4000", ""],
    ["10.99.0.5", ["203.0.113.9"], "203.0.113.9:4000", "; its SDP said 10.99.0.5, a private address"],
    [
      "10.99.0.5",
      ["10.0.0.1"],
      "10.99.0.5:4000",
      "; its SDP said 10.99.0.5, a private address, and its SIP comes from 10.0.0.1",
    ],
    [
      "10.99.0.5",
      ["127.0.0.1"],
      "10.99.0.5:4000",
      "; its SDP said 10.99.0.5, a private address, and its SIP comes from 127.0.0.1",
    ],
    ["10.99.0.5", ["10.99.0.5"], "10.99.0.5:4000", ""],
    [
      "media.nobody.example",
      ["203.0.113.9"],
      "203.0.113.9:4000",
      '; its SDP said "media.nobody.example", which is no address',
    ],
    ["192.0.2.5", ["203.0.113.9"], "192.0.2.5:4000", ""],
    [null, ["203.0.113.9"], "203.0.113.9", ""],
    ["2001:db8::5", [], "[2001:db8::5]:4000", ""],
  ];

for (const [described, signalling, from, oddity] of PEERS) {
  Deno.test(`call streams: who is not heard, described ${described}, calling from ${signalling}`, async () => {
    await using bench = fakeMediaBench();
    using streams = open(bench, "audio");
    streams.session("audio", 8000);
    streams.direct(agreed("audio", described), signalling);
    assert.deepEqual(streams.peerText("audio"), { from, oddity });
  });
}

Deno.test("call streams: what is expected of the peer, by what was agreed", async () => {
  await using bench = fakeMediaBench();
  using streams = open(bench, "audio", "video");
  const expected = (audio = true) => {
    const { expected, audioExpected } = streams.life(audio);
    return [expected, audioExpected];
  };
  assert.deepEqual(expected(), [false, false], "nothing is agreed yet");
  streams.session("audio", 8000);
  streams.session("video", 90_000);
  const audio = agreed("audio", "192.0.2.5");
  streams.direct(audio, []);
  assert.deepEqual(expected(), [true, true]);
  assert.deepEqual(expected(false), [false, false], "in x-flv sound is no stream");
  for (
    const changes of [{ heldByRemote: true }, { direction: "sendonly" }, { direction: "inactive" }] as const
  ) {
    streams.direct({ ...audio, ...changes }, []);
    assert.deepEqual(expected(), [false, false], JSON.stringify(changes));
  }
  streams.direct({ ...audio, direction: "recvonly" }, []);
  assert.deepEqual(expected(), [true, true]);
  // A peer that only listens has to report when it has us send to somebody else.
  for (const [signalling, reports] of [["192.0.2.5", false], ["203.0.113.9", true]] as const) {
    streams.direct({ ...audio, direction: "sendonly" }, [signalling]);
    assert.deepEqual(expected(), [reports, false], signalling);
    streams.direct({ ...audio, direction: "inactive" }, [signalling]);
    assert.deepEqual(expected(), [false, false]);
  }
  streams.direct(agreed("video", "192.0.2.5"), []);
  streams.keepOnly([agreed("video", "192.0.2.5")]);
  assert.deepEqual(expected(), [true, false], "its audio was switched off: port 0");
});
