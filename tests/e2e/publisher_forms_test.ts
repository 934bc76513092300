// What publishers really send, over real sockets: pictures and sound in forms that are not those of the book, into calls
// and to players that come late.

import assert from "node:assert/strict";
import { getProperty, propertiesOf, textOf } from "../../lib/amf/value.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { annexB } from "../support/h264_forms.ts";
import { avc, CONFIG, PPS, slice, SPS } from "../support/media_h264.ts";
import { header, openRawPhone, rawAnswer, type RawPhone } from "../support/raw_phone.ts";
import { StreamProgram, until } from "../support/stream_program.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

const ACCOUNT = `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\n`;
const ULAW = new Uint8Array(161).fill(0x82);
const OPUS = fromHex("fc112233445566778899");

function urlOf({ gateway }: TestGateway, path: string): string {
  return `rtmp://127.0.0.1:${gateway.rtmp.port}/${path}`;
}

/** The publisher leaves, and the phone takes its BYE. */
async function leave(publisher: StreamProgram, phone: RawPhone, { gateway }: TestGateway): Promise<void> {
  publisher.stop();
  const bye = await phone.receive(/^BYE/);
  const copied = ["Via", "From", "To", "Call-ID", "CSeq"].map((name) => `${name}: ${header(bye, name)}$`);
  phone.send(`SIP/2.0 200 OK$${copied.join("")}Content-Length: 0$$`, gateway.sipPort);
}

const config = concatBytes([fromHex("1700000000"), CONFIG]);
const tag = (first: string, data: Uint8Array): Uint8Array => concatBytes([fromHex(`${first}01000000`), data]);

const [KEY, INTER] = [slice("I", 60), slice("P", 40)];
const SETS = [SPS, PPS];

const PICTURES:
  readonly (readonly [what: string, before: readonly Uint8Array[], key: Uint8Array, inter: Uint8Array])[] = [
    ["with lengths", [config], tag("17", avc([KEY])), tag("27", avc([INTER]))],
    ["with start codes", [config], tag("17", annexB([KEY])), tag("27", annexB([INTER]))],
    ["with start codes, sets in band", [], tag("17", annexB([...SETS, KEY])), tag("27", annexB([INTER]))],
    ["sets in band", [], tag("17", avc([...SETS, KEY])), tag("27", avc([INTER]))],
    ["all flagged as inter pictures", [config], tag("27", avc([KEY])), tag("27", avc([INTER]))],
    [
      "in Enhanced RTMP, track 0 of several",
      [
        concatBytes([fromHex("96006176633100"), CONFIG]),
      ],
      concatBytes([fromHex("96016176633100000000"), avc([KEY])]),
      concatBytes([fromHex("a361766331"), avc([INTER])]),
    ],
  ];

for (const [what, before, key, inter] of PICTURES) {
  Deno.test(`the remote party sees pictures ${what}`, async () => {
    await using running = await startGateway({}, ACCOUNT);
    using phone = openRawPhone();
    using screen = openRawPhone();
    await using publisher = await StreamProgram.connect(urlOf(running, "call/desk"));
    await publisher.publish(`bob@127.0.0.1:${phone.port}`);
    for (const body of before) publisher.send(9, 0, body);
    if (before.length === 0) publisher.send(9, 0, key);
    publisher.send(8, 0, ULAW);
    const invite = await phone.receive(/^INVITE/);
    assert.match(invite, /^m=video \d+ RTP\/AVP 99/m);
    const video = `m=video ${screen.rtpPort} RTP/AVP 99$a=rtpmap:99 H264/90000$` +
      `a=fmtp:99 profile-level-id=42c01e;packetization-mode=1$`;
    phone.send(rawAnswer(phone, invite, "0", { sdpLines: video }), running.gateway.sipPort);
    await until("the call is up", () => publisher.codes.includes("NetStream.Call.Accepted"));
    publisher.send(9, 40, key);
    publisher.send(9, 80, inter);
    const got: string[] = [];
    while (!got.at(-1)?.endsWith(toHex(INTER))) got.push(toHex(await screen.receiveRtp()));
    assert.match(got.join(), new RegExp(`${toHex(SPS)}.*${toHex(PPS)}.*${toHex(KEY)}`));
    await leave(publisher, phone, running);
    assert.deepEqual(publisher.codes.filter((code) => code.startsWith("NetStream.Publish.")), [
      "NetStream.Publish.Start",
    ]);
  });
}

const UNCARRIED: readonly (readonly [what: string, body: string])[] = [
  ["HEVC", "9168766331000000aabb"],
  ["AV1", "9161763031aabb"],
  ["Sorenson", "12aabb"],
  ["screen video", "13aabb"],
];

Deno.test("pictures that no call carries are told to their publisher, and the call goes on with sound", async () => {
  for (const [what, picture] of UNCARRIED) {
    await using running = await startGateway({}, ACCOUNT);
    using phone = openRawPhone();
    await using publisher = await StreamProgram.connect(urlOf(running, "call/desk"));
    await publisher.publish(`bob@127.0.0.1:${phone.port}`);
    publisher.send(9, 0, fromHex(picture));
    publisher.send(8, 0, ULAW);
    phone.send(rawAnswer(phone, await phone.receive(/^INVITE/), "0"), running.gateway.sipPort);
    await until("the call is up", () => publisher.codes.includes("NetStream.Call.Accepted"));
    publisher.send(9, 20, fromHex(picture));
    await until("it is told", () => publisher.codes.includes("NetStream.Publish.UnsupportedCodec"));
    assert.match(publisher.words.join(), new RegExp(`UnsupportedCodec: .*${what}`));
    publisher.send(8, 40, ULAW);
    assert.deepEqual((await phone.receiveRtp()).subarray(12), ULAW.subarray(1), what);
    assert.equal(publisher.ended, false);
    await leave(publisher, phone, running);
  }
});

const OPUS_BEGINNINGS: readonly (readonly string[])[] = [
  ["904f70757301", "944f707573010200000003"],
  ["944f707573010200000003"],
  ["95004f7075730001", "95004f7075730101"],
];

Deno.test("Opus calls whatever comes before its first packet", async () => {
  for (const before of OPUS_BEGINNINGS) {
    await using running = await startGateway({}, ACCOUNT);
    using phone = openRawPhone();
    await using publisher = await StreamProgram.connect(urlOf(running, "call/desk"));
    await publisher.publish(`bob@127.0.0.1:${phone.port}`);
    for (const body of before) publisher.send(8, 0, fromHex(body));
    const packet = concatBytes([fromHex("914f707573"), OPUS]);
    publisher.send(8, 0, packet);
    const invite = await phone.receive(/^INVITE/);
    assert.match(invite, /^a=rtpmap:107 opus\/48000\/2/m);
    const answer = rawAnswer(phone, invite, "107", { sdpLines: "a=rtpmap:107 opus/48000/2$" });
    phone.send(answer, running.gateway.sipPort);
    await until("the call is up", () => publisher.codes.includes("NetStream.Call.Accepted"));
    publisher.send(8, 20, packet);
    assert.deepEqual((await phone.receiveRtp()).subarray(12), OPUS);
    await leave(publisher, phone, running);
  }
});

Deno.test("a player that joins when pictures have stopped hears now", async () => {
  await using running = await startGateway({}, "");
  await using publisher = await StreamProgram.connect(urlOf(running, "live"));
  await publisher.publish("cam");
  publisher.send(9, 0, config);
  publisher.send(8, 0, fromHex("af001210"));
  publisher.send(9, 0, tag("17", avc([KEY])));
  for (let timeMs = 0; timeMs < 60_000; timeMs += 20) publisher.send(8, timeMs, fromHex("af0121aa"));
  publisher.send(18, 60_000, fromHex("02000161"));
  await using early = await StreamProgram.connect(urlOf(running, "live"));
  await early.play("cam");
  publisher.send(8, 60_020, fromHex("af0121aa"));
  await until("somebody hears", () => early.audio.some(({ timeMs }) => timeMs === 60_020));
  await using late = await StreamProgram.connect(urlOf(running, "live"));
  await late.play("cam");
  publisher.send(8, 60_040, fromHex("af0121aa"));
  await until("the late one hears", () => late.audio.some(({ timeMs }) => timeMs === 60_040));
  const sound = late.audio.filter(({ body }) => body[1] === 1);
  assert.ok(sound[0]!.timeMs >= 59_000, `it begins at ${sound[0]!.timeMs}`);
  assert.equal(late.heard.some(({ body }) => body[0] === 0x17 && body[1] === 1), false);
});

Deno.test("a gateway that stops asks those to connect again who understand it, in every application", async () => {
  const running = await startGateway({}, ACCOUNT);
  const told = new Map<string, string[]>();
  const clients: RtmpClient[] = [];
  for (const path of ["live", "call/desk", "line/desk", "sip/USER@127.0.0.1"]) {
    for (const capsEx of [7, 6]) {
      const codes: string[] = [];
      told.set(`${path} ${capsEx}`, codes);
      clients.push(
        await RtmpClient.open(urlOf(running, path.replace("USER", `user${capsEx}`)), {
          clock: systemClock,
          log: silentLog,
          random: systemRandom,
          properties: { capsEx },
          onCall: (_name, args) => void codes.push(textOf(getProperty(propertiesOf(args[0]!), "code"))),
        }),
      );
    }
  }
  await running[Symbol.asyncDispose]();
  await Promise.all(clients.map((client) => client.closed));
  for (const [who, codes] of told) {
    const asked = who.endsWith("7") ? ["NetConnection.Connect.ReconnectRequest"] : [];
    assert.deepEqual(codes, [...asked, "NetConnection.Connect.AppShutdown"], who);
  }
  for (const client of clients) await client.close();
});
