import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { seededRandom } from "../../lib/base/random.ts";
import type { CallMedia, MediaFactory } from "../../lib/call/call_media.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { CallMediaPool } from "../../lib/call/call_media_pool.ts";
import { bodyText, SDP_TYPE } from "../../lib/sip/message/body.ts";
import { description, linesOf } from "../support/gateway_media.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { RecordLog } from "../support/record_log.ts";

/** Tells each destination an address of its own family. */
const ADDRESSES = {
  addressFor: ({ hostname }: { hostname: string }) => hostname.includes(":") ? "fd00::1" : "192.0.2.1",
};

function room(log: RecordLog, flags: Record<string, string> = {}): CallMediaPool {
  const config = buildConfig({ presets: { "int-ip": "127.0.0.1", "rtp-ports": { min: 0, max: 0 } }, flags });
  return new CallMediaPool(config, { clock: systemClock, random: seededRandom(3), log }, ADDRESSES);
}

function opened(factory: MediaFactory, codecs: string[] = ["wideband"]): CallMedia {
  const opening = factory.open("127.0.0.1", codecs);
  assert.ok(opening.type === "open", JSON.stringify(opening));
  return opening.media;
}

Deno.test("a call takes one pair of ports and gives it back", async () => {
  const log = new RecordLog();
  await using media = room(log);
  const factory = media.factory("wideband", log);
  {
    using _call = opened(factory);
    assert.deepEqual([media.calls, media.rtpPorts], [1, 1]);
  }
  assert.deepEqual([media.calls, media.rtpPorts], [0, 0]);
});

Deno.test("the limit of calls is an outcome, and leaves nothing open", async () => {
  const log = new RecordLog();
  await using media = room(log, { "max-calls": "2" });
  const factory = media.factory("wideband", log);
  {
    using _one = opened(factory);
    using _two = opened(media.factory("wideband", log));
    const third = factory.open("127.0.0.1", []);
    assert.ok(third.type === "failed" && third.reason.includes("2 calls"));
    assert.deepEqual([media.calls, media.rtpPorts], [2, 2]);
  }
  using _again = opened(factory);
});

Deno.test("no port left is an outcome, and does not count as a call", async () => {
  const log = new RecordLog();
  const config = buildConfig({ presets: { "int-ip": "192.0.2.77", "rtp-ports": { min: 0, max: 0 } } });
  await using media = new CallMediaPool(
    config,
    { clock: systemClock, random: seededRandom(3), log },
    ADDRESSES,
  );
  const opening = media.factory("wideband", log).open("192.0.2.77", []);
  assert.ok(opening.type === "failed" && opening.reason.includes("192.0.2.77"), JSON.stringify(opening));
  assert.deepEqual([media.calls, media.rtpPorts], [0, 0]);
});

for (const codecs of [["g729"], ["ulaw", "alaw"], ["dtmf"]]) {
  Deno.test(`the list ${codecs} has nothing usable: none, and no socket`, async () => {
    const log = new RecordLog();
    await using media = room(log);
    const opening = media.factory("wideband", log).open("127.0.0.1", codecs);
    assert.equal(opening.type, "none");
    assert.deepEqual([media.calls, media.rtpPorts], [0, 0]);
  });
}

Deno.test("codecs that cannot be used are named in the log", async () => {
  const log = new RecordLog();
  await using media = room(log);
  using _call = opened(media.factory("wideband", log), ["wideband", "g729", "ulaw"]);
  assert.ok(log.at("warn").some((line) => line.includes("g729, ulaw")));
});

Deno.test("the rate of connect decides the Speex of a client without a list", async () => {
  const log = new RecordLog();
  await using media = room(log);
  for (const [rate, expected] of [["wideband", "speex/16000"], ["narrowband", "speex/8000"]] as const) {
    using call = opened(media.factory(rate, log), []);
    assert.ok(linesOf(bodyText(call.makeOffer()), "a=rtpmap").some((line) => line.includes(expected)));
  }
});

const OFFERS: [what: string, lines: string[], usable: boolean][] = [
  ["Speex", ["m=audio 4000 RTP/AVP 97", "a=rtpmap:97 speex/8000"], true],
  ["PCMA", ["m=audio 4000 RTP/AVP 8"], true],
  ["G.729", ["m=audio 4000 RTP/AVP 18"], false],
  ["DTMF alone", ["m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"], false],
  ["no media", [], false],
];

for (const [what, lines, usable] of OFFERS) {
  Deno.test(`an offer of ${what} is ${usable ? "no reason to object" : "objected to, with both lists"}`, async () => {
    const log = new RecordLog();
    await using media = room(log);
    const objection = media.factory("wideband", log).objection(description("192.0.2.9", ...lines));
    if (usable) assert.equal(objection, null);
    else assert.ok(objection !== null && objection.length > 10);
    assert.equal(media.rtpPorts, 0);
  });
}

Deno.test("an offer that cannot be read is objected to", async () => {
  const log = new RecordLog();
  await using media = room(log);
  const objection = media.factory("wideband", log).objection({ type: SDP_TYPE, bytes: new Uint8Array(5) });
  assert.match(objection ?? "", /cannot be read/);
});

Deno.test("a port range that holds no pair is refused before anything is bound", () => {
  const config = buildConfig({ presets: { "rtp-ports": { min: 0, max: 0 } } });
  const narrow = { ...config, rtp: { ...config.rtp, portMin: 20001, portMax: 20001 } };
  assert.throws(
    () =>
      new CallMediaPool(
        narrow,
        { clock: systemClock, random: seededRandom(3), log: new RecordLog() },
        ADDRESSES,
      ),
    /no pair/,
  );
});

Deno.test("the address for an answer faces the offer's media, whatever family its signalling has", async () => {
  await using media = room(new RecordLog());
  const factory = media.factory("wideband", new RecordLog());
  const offer = (address: string, lines = "") => ({
    type: "application/sdp",
    bytes: new TextEncoder().encode(
      `v=0\r\no=- 1 1 IN IP4 ${address}\r\ns=-\r\nc=IN IP4 ${address}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n${lines}`,
    ),
  });
  assert.equal(factory.addressFacing(offer("10.77.0.1"), "fd00::1"), "192.0.2.1");
  assert.equal(factory.addressFacing(offer("10.77.0.1", "c=IN IP6 fd00::9\r\n"), "192.0.2.1"), "fd00::1");
  for (
    const unusable of [offer("0.0.0.0"), offer("host.example"), { type: "x", bytes: new Uint8Array(2) }, null]
  ) {
    assert.equal(factory.addressFacing(unusable, "192.0.2.9"), "192.0.2.9");
  }
});

Deno.test("host names of a description become addresses; an answer waits 2 s for them at most", async () => {
  const clock = new FakeClock();
  const log = new RecordLog();
  const dns = {
    a: (name: string) => name === "slow" ? new Promise<string[]>(() => {}) : Promise.resolve(["192.0.2.5"]),
    aaaa: () => Promise.resolve([]),
  };
  const config = buildConfig({
    presets: { "int-ip": "127.0.0.1", "rtp-ports": { min: 0, max: 0 } },
    flags: {},
  });
  await using media = new CallMediaPool(config, { clock, random: seededRandom(3), log, dns }, ADDRESSES);
  const factory = media.factory("wideband", log);
  const known = await factory.withAddresses({ ...description("media.example.com"), from: ["203.0.113.9"] });
  assert.match(bodyText(known), /c=IN IP4 192\.0\.2\.5\r\n/);
  assert.deepEqual(known.from, ["203.0.113.9"]);
  const plain = description("192.0.2.7");
  assert.equal(await factory.withAddresses(plain), plain);
  const slow = description("slow");
  const waiting = factory.withAddresses(slow);
  await clock.advanceAsync(2000);
  assert.equal(await waiting, slow);
});
