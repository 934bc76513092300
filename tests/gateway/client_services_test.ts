// Tests of lib/gateway/client_services.ts: what is the application's, and what is the client's own.

import assert from "node:assert/strict";
import type { DialTarget } from "../../lib/gateway/access/dial_rules.ts";
import { CallBroadcast } from "../../lib/call/call_broadcast.ts";
import { ClientServices, type SharedServices } from "../../lib/gateway/client_services.ts";
import { defaultLiveLimits, LiveStreams } from "../../lib/live/streams.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { RecordingFactory, scriptedCalls } from "../support/gateway_fakes.ts";
import { RecordLog } from "../support/record_log.ts";

const refused = { type: "refused", reason: "because" } as const;

function bench(published: string | null) {
  const asked: string[] = [];
  const clock = new FakeClock();
  const log = new RecordLog();
  const app: SharedServices = {
    clock,
    dtmf: "info",
    redirect: false,
    dialPlan: [],
    calls: scriptedCalls(),
    room: { refusal: () => "full", retryAfterSeconds: () => 5 },
    access: {
      mayCall: (from: string, to: DialTarget) => (asked.push(`${from} calls ${to.user}`), refused),
      mayDial: (to: DialTarget) => (asked.push(`message to ${to.user}`), refused),
    },
    streams: new LiveStreams(defaultLiveLimits, { clock, log }),
  };
  const media = new RecordingFactory();
  const services = new ClientServices({
    shared: app,
    log,
    media,
    peer: { address: "192.0.2.7", connection: 1, path: "sip/alice@example.com" },
    published,
  });
  return { app, asked, log, media, services };
}

Deno.test("client services: the application's parts, asked in the name of the client", () => {
  const { app, asked, log, media, services } = bench(null);
  assert.deepEqual(
    [services.clock, services.dtmf, services.dialPlan, services.room, services.log, services.media],
    [app.clock, app.dtmf, app.dialPlan, app.room, log, media],
  );
  const target: DialTarget = { user: "bob", host: "example.com" };
  assert.deepEqual([services.mayCall(target), services.mayMessage(target)], [refused, refused]);
  assert.deepEqual(asked, ["192.0.2.7 calls bob", "message to bob"]);
});

Deno.test("client services: calls are published under the client's address, or not at all", () => {
  assert.equal(bench(null).services.openBroadcast(), null);
  using broadcast = bench("alice@example.com").services.openBroadcast();
  assert.ok(broadcast instanceof CallBroadcast);
});
