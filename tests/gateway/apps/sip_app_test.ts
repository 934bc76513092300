// The sip application beside the streams application on one port; the rest of its rules is in gateway_test.ts,
// where it is met as clients meet it.

import assert from "node:assert/strict";
import { systemClock } from "../../../lib/base/clock.ts";
import { silentLog } from "../../../lib/base/log.ts";
import { systemRandom } from "../../../lib/base/random.ts";
import { UrlDialLink } from "../../../lib/gateway/apps/sip_app.ts";
import { dialledByUrl } from "../../../lib/gateway/urls.ts";
import { RtmpClient, RtmpRefused } from "../../../lib/rtmp/client.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";
import { RtmpPhone } from "../../support/rtmp_phone.ts";
import { startGateway, type TestGateway } from "../../support/test_gateway.ts";

function streams(running: TestGateway, path = "live/room"): Promise<RtmpClient> {
  const url = `rtmp://127.0.0.1:${running.gateway.rtmp.port}/${path}`;
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

const refused = (says: RegExp) => (error: unknown) =>
  error instanceof RtmpRefused && says.test(error.description);

Deno.test("same-address share: all ring, the first to accept wins, the others get cancelled", async () => {
  await using running = await startGateway({ "same-address": "share" });
  const url = running.url("bob@127.0.0.1");
  await using one = await RtmpPhone.connect({ url });
  await using two = await RtmpPhone.connect({ url });
  await using caller = await RtmpPhone.connect({ url: running.url("alice@127.0.0.1") });
  caller.client.send("invite", `sip:bob@127.0.0.1:${running.gateway.sipPort}`, "pcmu");
  const invited = await one.expect("invited");
  assert.deepEqual(await two.expect("invited"), invited);
  two.client.send("accept", "pcmu");
  assert.deepEqual(await two.expect("accepted"), ["pcmu", null]);
  await one.expect("cancelled");
  await caller.expect("accepted");
  caller.client.send("bye");
  await two.expect("byed");
});

Deno.test("same-address reject: the first client stays, the second is told why it may not", async () => {
  await using running = await startGateway({ "same-address": "reject" });
  const url = running.url("bob@127.0.0.1");
  await using _first = await RtmpPhone.connect({ url });
  await assert.rejects(RtmpPhone.connect({ url }), refused(/another client uses this address/));
  await using _elsewhere = await RtmpPhone.connect({ url: `${url}/x7` });
  assert.equal(running.gateway.usage.clients, 2);
});

Deno.test("only allowed domains may be used, and only allowed numbers called or written to", async () => {
  await using running = await startGateway({ "allowed-domains": "127.0.0.1", "allowed-dials": "echo" });
  await assert.rejects(
    RtmpPhone.connect({ url: running.url("me@elsewhere.example") }),
    refused(/elsewhere\.example/),
  );
  await using phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
  phone.client.send("invite", "0900123", "pcmu");
  assert.deepEqual(await phone.expect("rejected"), [
    "403 Forbidden: blocked by this gateway, 0900123 is not in allowed-dials",
  ]);
  await assert.rejects(phone.client.call("sendPagingMessage", "0900123", "hello"), /403/);
  assert.equal(running.gateway.usage.calls, 0);
});

Deno.test("with a token set, only those who give it come in, on every path; it is never logged", async () => {
  await using running = await startGateway({ "rtmp-token": "open-sesame-please" });
  await assert.rejects(
    RtmpPhone.connect({ url: running.url("me@127.0.0.1?token=wrong-sesame-please") }),
    RtmpRefused,
  );
  await using _viewer = await streams(running, "live/room?token=open-sesame-please");
  await using _phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1?token=open-sesame-please") });
  assert.doesNotMatch(running.lines(), /sesame/);
});

for (const published of [true, false]) {
  Deno.test(`the sides of a call are ${published ? "" : "not "}played by others as near and far`, async () => {
    await using running = await startGateway(published ? { "publish-calls": true } : {});
    await using bob = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1"), answers: ["pcmu"] });
    await using alice = await RtmpPhone.connect({ url: running.url("alice@127.0.0.1") });
    await using listener = await streams(running, "calls/alice@127.0.0.1");
    const heard = { near: 0, far: 0 };
    for (const side of ["near", "far"] as const) {
      const stream = await listener.createStream();
      stream.onMedia = ({ body }) => void (heard[side] += body[1] === (side === "near" ? 1 : 2) ? 1 : 0);
      await stream.play(side);
    }
    alice.client.send("invite", `sip:bob@127.0.0.1:${running.gateway.sipPort}`, "pcmu");
    await alice.expect("accepted");
    await bob.expect("accepted");
    for (let i = 0; i < 15; i++) {
      alice.speaking.send(8, i * 20, new Uint8Array(161).fill(0x82, 0, 1).fill(1, 1));
      bob.speaking.send(8, i * 20, new Uint8Array(161).fill(0x82, 0, 1).fill(2, 1));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(heard.near > 5 && heard.far > 5, published, JSON.stringify(heard));
    alice.client.send("bye");
    await bob.expect("byed");
  });
}

class LinkBench {
  readonly clock = new FakeClock();
  readonly log = new RecordLog();
  /** Why the connection was closed. */
  readonly closed: string[] = [];
  readonly link: UrlDialLink;

  constructor(query = "") {
    this.link = new UrlDialLink({
      client: {
        close: (code, description) => {
          this.closed.push(`${code}: ${description}`);
          return Promise.resolve();
        },
      },
      limits: dialledByUrl(`dial=echo${query}`)!,
      clock: this.clock,
      log: this.log,
    });
  }
}

const ENDS = [["rejected", ["486 Busy Here"], "rejected 486 Busy Here"], ["byed", [], "byed"]] as const;

for (const [last, args, said] of ENDS) {
  Deno.test(`callbacks are logged; ${last} is the end of the connection`, () => {
    const bench = new LinkBench();
    bench.link.call("dialing", "echo");
    bench.link.call("ringing", "180 Ringing");
    bench.link.call("accepted", "pcmu", null);
    assert.deepEqual([bench.closed, bench.clock.pending], [[], 0]);
    bench.link.call(last, ...args);
    assert.deepEqual(bench.closed, [`NetConnection.Connect.Closed: ${said}`]);
    assert.match(bench.log.lines.join(), /dialled by URL: accepted pcmu/);
  });
}

Deno.test("ringing for too long ends the connection, and talking for too long", () => {
  const bench = new LinkBench("&answer-timeout=30&max-duration=60");
  bench.link.call("dialing", "echo");
  bench.clock.advance(29_999);
  assert.deepEqual(bench.closed, []);
  bench.clock.advance(1);
  assert.deepEqual(bench.closed, ["NetConnection.Connect.Closed: no answer"]);
  const answered = new LinkBench("&answer-timeout=30&max-duration=60");
  answered.link.call("dialing", "echo");
  answered.clock.advance(20_000);
  answered.link.call("accepted");
  answered.clock.advance(59_999);
  assert.deepEqual(answered.closed, []);
  answered.clock.advance(1);
  assert.deepEqual(answered.closed, ["NetConnection.Connect.Closed: the call has lasted 60 s, as asked for"]);
});

Deno.test("a client that has left has no timer", () => {
  const bench = new LinkBench("&answer-timeout=30");
  bench.link.call("dialing", "echo");
  assert.equal(bench.clock.pending, 1);
  bench.link[Symbol.dispose]();
  assert.equal(bench.clock.pending, 0);
});
