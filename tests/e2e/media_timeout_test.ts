// A call whose peer sends nothing, or nothing any more: told after 5 s, ended in time; holds and one-way calls are not.

import assert from "node:assert/strict";
import { header, openRawPhone, rawInDialog, rawInvite, type RawPhone } from "../support/raw_phone.ts";
import { rtpBytes } from "../support/rtp_packets.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Called extends AsyncDisposable {
  readonly running: TestGateway;
  readonly user: RtmpPhone;
  readonly phone: RawPhone;
  /** Our 200. */
  readonly ok: string;
  readonly mediaPort: number;
}

/** A phone calls a user of the gateway. */
async function called(
  flags: Record<string, string>,
  sdp: { connection?: string; sdpLines?: string } = {},
): Promise<Called> {
  await using stack = new AsyncDisposableStack();
  const running = stack.use(await startGateway(flags));
  const { sipPort } = running.gateway;
  const user = stack.use(
    await RtmpPhone.connect({ url: running.url(`user@127.0.0.1:${sipPort}`), answers: ["pcmu"] }),
  );
  const phone = stack.use(openRawPhone());
  phone.send(rawInvite(phone, { user: "user", port: sipPort }, { callId: "c", ...sdp }), sipPort);
  const ok = await phone.receive(/ 200 /);
  phone.send(rawInDialog(phone, "ACK", 1, ok, "z9hG4bKack"), sipPort);
  await user.expect("accepted");
  const owned = stack.move();
  const mediaPort = Number(/^m=audio (\d+)/m.exec(ok)?.[1]);
  return { running, user, phone, ok, mediaPort, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

Deno.test("nothing after the answer: told after 5 s in plain words, then BYE with a Reason, and byed", async () => {
  await using call = await called({ "media-timeout-initial": "7" }, { connection: "IN IP4 10.99.0.5" });
  const bye = await call.phone.receive(/^BYE/);
  assert.match(header(bye, "Reason"), /^SIP ;cause=408 ;text="no RTP from .* for 7 s"$/);
  await call.user.expect("byed");
  const lines = call.running.lines();
  assert.match(lines, /no audio from 10\.99\.0\.5:\d+ for 5 s; its SDP said 10\.99\.0\.5, a private address/);
  assert.match(lines, /call ended: \d+\.\d s, failure: no RTP from/);
});

Deno.test("nothing any more: the limit counts from the last packet", async () => {
  await using call = await called({ "media-timeout": "3", "media-timeout-initial": "60" });
  for (let n = 0; n < 50; n++) {
    call.phone.sendRtp(
      rtpBytes({ sequenceNumber: n, timestamp: 160 * n, payload: new Uint8Array(160) }),
      call.mediaPort,
    );
    await pause(20);
  }
  const startMs = performance.now();
  await call.phone.receive(/^BYE/);
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs > 1_500 && tookMs < 8_000, `${tookMs} ms`);
  await call.user.expect("byed");
});

Deno.test("a peer that only listens, one that holds, one that sends nothing by agreement, and 0: no end", async () => {
  const flags = { "media-timeout-initial": "2", "media-timeout": "2" };
  const kept: Called[] = [];
  await using stack = new AsyncDisposableStack();
  for (const sdpLines of ["a=recvonly$", "a=sendonly$", "a=inactive$"]) {
    kept.push(stack.use(await called(flags, { sdpLines })));
  }
  kept.push(stack.use(await called({ "media-timeout-initial": "0", "media-timeout": "0" })));
  await pause(4_500);
  for (const { running } of kept) {
    assert.equal(running.gateway.usage.calls, 1);
    assert.doesNotMatch(running.lines(), /no RTP from/);
  }
});
