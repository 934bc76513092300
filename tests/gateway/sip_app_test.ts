// The sip application beside the streams application on one port; the rest of its rules is in gateway_test.ts,
// where it is met as clients meet it.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

function streams(running: TestGateway): Promise<RtmpClient> {
  const url = `rtmp://127.0.0.1:${running.gateway.rtmp.port}/live/room`;
  return RtmpClient.open(url, { clock: systemClock, log: silentLog, random: systemRandom });
}

Deno.test("a SIP address is a client of the sip application, any other path is not", async () => {
  await using running = await startGateway();
  await using _phone = await RtmpPhone.connect({ url: running.url("alice@127.0.0.1") });
  await using _viewer = await streams(running);
  assert.deepEqual(running.gateway.usage, { connections: 2, clients: 1, calls: 0, rtpPorts: 0 });
});

Deno.test("what is published on a path of streams is played there", async () => {
  await using running = await startGateway();
  await using publisher = await streams(running);
  await using viewer = await streams(running);
  const [from, to] = [await publisher.createStream(), await viewer.createStream()];
  const heard = Promise.withResolvers<string>();
  to.onMedia = ({ type, body }) => type === 8 && heard.resolve([...body].join());
  await from.publish("talk");
  await to.play("talk");
  const body = new Uint8Array([0x82, 1, 2, 3]);
  const sending = setInterval(() => from.send(8, 0, body), 10);
  assert.equal(await heard.promise, [...body].join());
  clearInterval(sending);
});
