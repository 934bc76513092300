import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { type AppPath, parseAppPath } from "../../lib/gateway/apps/app_path.ts";
import { firstStream, isToldLater, type Newcomer } from "../../lib/gateway/first_stream.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import type { ConnectRequest } from "../../lib/rtmp/command.ts";
import { connectTcp } from "../../lib/net/tcp.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

const TOKEN = "open-sesame-please";

/** A client that says exactly this app, as programs do that cut URLs in their own way. */
async function connect(running: TestGateway, app: string): Promise<RtmpClient> {
  const stream = await connectTcp(running.gateway.rtmp);
  const environment = { clock: systemClock, log: silentLog, random: systemRandom };
  return await RtmpClient.over(stream, { app, tcUrl: `rtmp://127.0.0.1/${app}` }, environment);
}

Deno.test("what connect leaves open is what application is meant, or who it is where that is asked", () => {
  const table: [app: string, query: string, asked: boolean, later: boolean][] = [
    ["", "", false, true],
    ["/", "token=x", false, true],
    ["live", "", false, false],
    ["live", "", true, true],
    ["call/desk", "", true, true],
    ["line", "key=x", true, true],
    ["live", "token=x", true, false],
    ["live", "user=a&password=b", true, false],
    ["sip/alice@example.com", "", true, false],
    ["sip/nobody", "", true, false],
  ];
  for (const [app, query, asked, later] of table) {
    const request = { query, args: [] } as unknown as ConnectRequest;
    assert.equal(isToldLater(parseAppPath(app) satisfies AppPath, request, asked), later, `${app}?${query}`);
  }
});

Deno.test("a client that says nothing more is dropped in time", async () => {
  const clock = new FakeClock();
  const ended = Promise.withResolvers<void>();
  let answered = 0;
  const reply = { result: () => void answered++, error: () => assert.fail("programs say what they like") };
  const silent: Newcomer = {
    accept: () => {},
    giveBack: () => assert.fail("nothing was read"),
    drop: () => ended.resolve(),
    async *events() {
      yield { type: "command", name: "checkBandwidth", args: [], streamId: 0, reply };
      await ended.promise;
    },
  };
  const waiting = firstStream(silent, { clock, waitMs: 15_000 });
  await clock.advance(14_999);
  assert.equal(clock.pending, 1);
  await clock.advance(1);
  assert.equal(await waiting, null);
  assert.equal(answered, 1);
  assert.equal(clock.pending, 0);
});

/** One URL, cut by the publisher and by the player in their own ways. */
const CUTS: [publisher: [app: string, name: string], player: [app: string, name: string]][] = [
  [["live/", "X"], ["live", "X"]],
  [["live", "/X"], ["live", "X"]],
  [["live", "room/X"], ["live/room", "X"]],
  [["live/room", "X"], ["live", "room/X"]],
  [["live", "X"], ["live", "X.flv"]],
  [["", "X"], ["", "X"]],
  [["X", ""], ["X", ""]],
  [["", "live/X"], ["live", "X"]],
  [["live/X", ""], ["", "/live//X"]],
  [["live/X", "rtmp://gateway/live/X"], ["live", "X"]],
  [["live//room", "X"], ["", "rtmp://gateway:1935/live/room/X"]],
];

Deno.test("one URL is one stream, wherever a program cuts it", async () => {
  await using running = await startGateway();
  for (const [[app, name], [playerApp, playerName]] of CUTS) {
    await using publisher = await connect(running, app);
    await using player = await connect(running, playerApp);
    const [from, to] = [await publisher.createStream(), await player.createStream()];
    const heard = Promise.withResolvers<number>();
    to.onMedia = ({ type, body }) => type === 8 && heard.resolve(body[1]!);
    await from.publish(name);
    await to.play(playerName);
    from.send(8, 0, new Uint8Array([0x82, 7]));
    assert.equal(await heard.promise, 7, JSON.stringify([app, name, playerApp, playerName]));
  }
});

Deno.test("the first media behind a publish that named the application is not lost", async () => {
  await using running = await startGateway();
  await using publisher = await connect(running, "");
  const from = await publisher.createStream();
  const published = from.publish("live/room/X");
  from.send(8, 0, new Uint8Array([0xaf, 0, 0x12, 0x10])); // before the answer has come
  await published;
  await using player = await connect(running, "live");
  const to = await player.createStream();
  const heard = Promise.withResolvers<string>();
  to.onMedia = ({ type, body }) => type === 8 && heard.resolve([...body].join());
  await to.play("room/X");
  assert.equal(await heard.promise, "175,0,18,16");
});

const LOGINS: [where: string, app: string, name: string, admitted: boolean][] = [
  ["connect has the token", `live?token=${TOKEN}`, "cam", true],
  ["the stream key has it", "live", `cam?token=${TOKEN}`, true],
  ["the stream key has it, and more", "live", `cam?a=b&token=${TOKEN}&c`, true],
  ["the name of an empty app has it", "", `live/cam?token=${TOKEN}`, true],
  ["connect has it, the app is empty", `?token=${TOKEN}`, "live/cam", true],
  ["an empty name has it", "live/cam", `?token=${TOKEN}`, true],
  ["nobody has it", "live", "cam", false],
  ["it is wrong", "live", "cam?token=open-sesame-pleasf", false],
  ["nobody has it, and the app is empty", "", "live/cam", false],
];

for (const [where, app, name, admitted] of LOGINS) {
  Deno.test(`a token is asked for and ${where}: ${admitted ? "in" : "out"}`, async () => {
    await using running = await startGateway({ "rtmp-token": TOKEN });
    await using client = await connect(running, app);
    const stream = await client.createStream();
    if (admitted) await stream.publish(name);
    else {
      await assert.rejects(stream.publish(name), /NetStream.Publish.Denied|login is needed|wrong/);
      await client.closed;
    }
    assert.doesNotMatch(running.lines(), /sesame/);
  });
}

Deno.test("a SIP address belongs into connect: as the name of a stream it is refused in words", async () => {
  await using running = await startGateway();
  await using client = await connect(running, "");
  const stream = await client.createStream();
  await assert.rejects(stream.publish("sip/alice@127.0.0.1/local"), /rtmp:\/\/this-host\/sip\/user@domain/);
});

Deno.test("calls by URL: an empty app, the key in the stream key", async () => {
  await using running = await startGateway(
    {},
    `
[[account]]
name = "desk"
address = "desk@127.0.0.1"
answer = "auto"
key = "0123456789abcdefg"
`,
  );
  await using wrong = await connect(running, "");
  await assert.rejects((await wrong.createStream()).play("line/desk"), /a key is needed/);
  await using right = await connect(running, "");
  await (await right.createStream()).play("line/desk?key=0123456789abcdefg");
  await using around = await connect(running, "live");
  await assert.rejects(
    (await around.createStream()).play("rtmp://gateway/line/desk"),
    /no name for a stream/,
  );
});
