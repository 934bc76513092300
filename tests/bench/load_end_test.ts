// The load end against a gateway: what every row of the bench stands on.

import assert from "node:assert/strict";
import { createLoadEnd } from "../../bench/load/load_end.ts";
import type { CallKind, RunResult, StreamResult } from "../../bench/load/protocol.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

const PID = Deno.pid;

/** When the machine is very busy, the last packets may be counted too late. */
const ARRIVED = 0.9;

function allArrived({ sentUp, receivedUp, sentDown, receivedDown }: StreamResult): void {
  const counts = [sentUp, receivedUp, sentDown, receivedDown];
  assert.ok(counts.every((count) => count >= sentUp * ARRIVED && count <= sentUp), counts.join());
}

async function inUse(test: (end: ReturnType<typeof createLoadEnd>, gateway: TestGateway) => Promise<void>) {
  await using gateway = await startGateway();
  using end = createLoadEnd();
  await test(end, gateway);
  await end.hangUp({ target: "gateway", count: 100 });
}

async function talk(kind: CallKind, calls: number): Promise<RunResult> {
  let result: RunResult | null = null;
  await inUse(async (end, { gateway, lines }) => {
    const port = gateway.rtmp.port;
    const dialled = await end.dial({ target: "gateway", port, kind, count: calls, perSecond: 50 });
    assert.deepEqual([dialled.established, dialled.failures], [calls, []], lines());
    result = await end.run({ target: "gateway", seconds: 0.6, warmSeconds: 0.2, pid: PID });
  });
  return result!;
}

for (const kind of ["speex", "pcmu"] as const) {
  Deno.test(`${kind}: everything that is sent arrives at the other end, with its time`, async () => {
    const { calls, silent, audio, video } = await talk(kind, 3);
    assert.deepEqual([calls, silent], [3, 0]);
    assert.ok(audio.sentUp >= 60, `${audio.sentUp} sent`);
    allArrived(audio);
    assert.ok(audio.up.bins.length > 0 && audio.down.bins.length > 0);
    assert.equal(video.sentUp, 0);
  });
}

Deno.test("h264: pictures arrive whole, beside the sound", async () => {
  const { audio, video } = await talk("h264", 2);
  allArrived(audio);
  assert.ok(video.sentUp >= 20, `${video.sentUp} sent`);
  allArrived(video);
  assert.ok(video.up.bins.length > 0 && video.down.bins.length > 0);
});

Deno.test("short calls come and go beside the others", async () => {
  await inUse(async (end, { gateway }) => {
    const port = gateway.rtmp.port;
    const churned = await end.churn({ port, kind: "speex", perSecond: 20, seconds: 0.5, holdMs: 50 });
    assert.deepEqual([churned.attempted, churned.established, churned.failures], [10, 10, []]);
  });
});

Deno.test("users register, each once", async () => {
  await inUse(async (end, { gateway }) => {
    const { registered, failures, requests } = await end.register({
      port: gateway.rtmp.port,
      count: 12,
      together: 5,
    });
    assert.deepEqual([registered, failures, requests], [12, [], 12]);
    const more = await end.register({ port: gateway.rtmp.port, count: 3, together: 5 });
    assert.deepEqual([more.registered, more.requests], [15, 15]);
  });
});

Deno.test("players of a live stream get every picture, also beside one that reads nothing", async () => {
  await inUse(async (end, { gateway }) => {
    const result = await end.fanOut({
      ...{ port: gateway.rtmp.port, players: 3, slow: 1, filling: 3, pictureLength: 1000, pid: PID },
      ...{ seconds: 0.4, warmSeconds: 0.2 },
    });
    assert.ok(result.published >= 14, `${result.published} published`);
    assert.ok(result.received >= result.wanted * ARRIVED, `${result.received} of ${result.wanted}`);
    assert.ok(result.latency.bins.length > 0);
  });
});
