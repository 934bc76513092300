// Players of calls hear first which streams there will be, over real sockets: the built-in tone number is dialled by
// URL, from an account and without one, and by a program written for siprtmp, which hears no metadata.

import assert from "node:assert/strict";
import { decodeAmf0 } from "../../lib/amf/amf0.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { SipServer } from "../../lib/tools/sipd/sip_server.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { type HeardTag, StreamProgram, until } from "../support/stream_program.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

const ULAW = new Uint8Array(161).fill(0x82);

function startServer(): Promise<SipServer> {
  const environment = { clock: systemClock, log: silentLog, random: systemRandom, dns: systemDns };
  return SipServer.start({ listen: { hostname: "127.0.0.1", port: 0 }, portFallback: false }, environment);
}

const toneAt = (sipd: SipServer): string => encodeURIComponent(`tone@127.0.0.1:${sipd.address.port}`);
const urlOf = ({ gateway }: TestGateway, path: string): string =>
  `rtmp://127.0.0.1:${gateway.rtmp.port}/${path}`;

/** What is said of every stream. */
const OF_ALL_STREAMS: readonly unknown[] = ["|RtmpSampleAccess", "onStatus"];

/** What came first, but for what is said of every stream. */
async function beginningOf(player: StreamProgram): Promise<HeardTag[]> {
  await until("there is sound", () => player.audio.length > 1);
  return player.heard.filter(({ type, body }) => type !== 18 || !OF_ALL_STREAMS.includes(decodeAmf0(body)[0]))
    .slice(0, 2);
}

function assertAnnounced([first, second]: HeardTag[]): void {
  assert.deepEqual([first?.type, second?.type], [18, 8]);
  const [name, members] = decodeAmf0(first!.body);
  assert.equal(name, "onMetaData");
  assert.match(JSON.stringify(members), /"audiocodecid":8/);
  assert.doesNotMatch(JSON.stringify(members), /videocodecid/);
}

Deno.test("players of a call by URL hear first that there will be sound only, late ones too", async () => {
  await using sipd = await startServer();
  await using running = await startGateway({}, `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\n`);
  await using publisher = await StreamProgram.connect(urlOf(running, "call/desk"));
  await publisher.publish(toneAt(sipd));
  publisher.send(8, 0, ULAW);
  publisher.send(8, 20, ULAW);
  for (const _ of ["early", "late"]) {
    await using player = await StreamProgram.connect(urlOf(running, "call/desk"));
    await player.play(decodeURIComponent(toneAt(sipd)));
    assertAnnounced(await beginningOf(player));
  }
});

Deno.test("a player that dials without an account hears it as well", async () => {
  await using sipd = await startServer();
  await using running = await startGateway();
  await using player = await StreamProgram.connect(urlOf(running, `sip/ear@127.0.0.1?dial=${toneAt(sipd)}`));
  await player.play("remote");
  assertAnnounced(await beginningOf(player));
});

Deno.test("a program written for siprtmp hears sound and nothing else", async () => {
  await using sipd = await startServer();
  await using running = await startGateway();
  await using phone = await RtmpPhone.connect({ url: running.url(`me@127.0.0.1:${sipd.address.port}`) });
  phone.client.send("invite", "tone", "pcmu");
  await phone.expect("accepted");
  await until("there is sound", () => phone.audio.length > 1);
  const said = phone.heard.filter(({ type }) => type === 18).map(({ body }) => decodeAmf0(body)[0]);
  assert.deepEqual(said.filter((name) => !OF_ALL_STREAMS.includes(name)), []);
});
