import assert from "node:assert/strict";
import { loopbackPlaces } from "../../lib/gateway/access/target_policy.ts";
import fc from "fast-check";
import { ConfigError } from "../../lib/base/errors.ts";
import { buildConfig } from "../../lib/config/config.ts";
import type { SettingName } from "../../lib/config/settings.ts";
import { sipPortOf, sliceOf, type WorkerSlot } from "../../lib/workers/worker_slot.ts";

function configOf(flags: Partial<Record<SettingName, string | boolean>>) {
  return buildConfig({ flags });
}

function slot(index: number, count: number): WorkerSlot {
  return { index, count, rtmpPort: 1935, sipPort: 5060 + index, sipFallback: false };
}

Deno.test("a slice has its own SIP port and RTP ports, and the RTMP port of all", () => {
  const config = configOf({ workers: "3", "rtp-ports": "10001-10021", port: "0" });
  const slices = [0, 1, 2].map((index) => sliceOf(config, slot(index, 3)));
  assert.deepEqual(slices.map(({ rtp }) => [rtp.portMin, rtp.portMax]), [
    [10002, 10007],
    [10008, 10013],
    [10014, 10021],
  ]);
  assert.deepEqual(slices.map(({ sip }) => sip.port), [5060, 5061, 5062]);
  assert.deepEqual(slices.map(({ rtmp }) => rtmp.listen.port), [1935, 1935, 1935]);
  assert.ok(slices.every(({ workers, sipd }) => workers === 1 && sipd === null));
});

Deno.test("TLS, RTMPT and the gateway's own accounts are worker 0's alone", () => {
  const config = buildConfig({
    flags: { "rtmps-port": "1443", "tls-cert": "c.pem", "tls-key": "k.pem", "rtmpt-port": "1080" },
    file: {
      name: "x.toml",
      text: '[[account]]\nname = "worker"\naddress = "worker@example.com"\npassword = "x"\n',
    },
  });
  const [home, other] = [sliceOf(config, slot(0, 2)), sliceOf(config, slot(1, 2))];
  const open = [5060, 5061].flatMap(loopbackPlaces); // the SIP ports of both workers
  for (const { entrance } of [home, other]) assert.deepEqual(entrance.targets, { allowed: [], open });
  assert.deepEqual(home.entrance, { ...config.entrance, targets: home.entrance.targets });
  assert.deepEqual([other.entrance.tls, other.entrance.tunnel], [null, null]);
  assert.deepEqual([home.accounts.length, other.accounts.length], [1, 0]);
  // What is counted for all together is the same everywhere; connections that say nothing are divided.
  assert.deepEqual(other.limit, { ...config.limit, halfOpen: Math.ceil(config.limit.halfOpen / 2) });
});

Deno.test("slices of any range are disjoint, start even, and hold pairs", () => {
  const ranges = fc.tuple(fc.integer({ min: 1, max: 60000 }), fc.integer({ min: 1, max: 5000 }));
  fc.assert(fc.property(ranges, fc.integer({ min: 1, max: 64 }), ([min, size], count) => {
    const max = Math.min(65535, min + size);
    if (min + min % 2 + 1 > max) return;
    const config = configOf({ "rtp-ports": `${min}-${max}` });
    try {
      let next = min;
      for (let index = 0; index < count; index++) {
        const { portMin, portMax } = sliceOf(config, slot(index, count)).rtp;
        assert.ok(portMin >= next && portMin % 2 === 0 && portMax % 2 === 1 && portMax > portMin);
        next = portMax + 1;
      }
      assert.ok(next - 1 <= max && max - next < 2);
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /pairs, too few for \d+ workers/);
      assert.ok(Math.floor((max - min + 1) / 2) <= count);
    }
  }));
});

Deno.test("SIP ports follow the base port; any port stays any; there is an end", () => {
  assert.equal(sipPortOf(configOf({}), 5062, 3), 5065);
  assert.equal(sipPortOf(configOf({ "sip-port": "0" }), 40000, 3), 0);
  assert.throws(() => sipPortOf(configOf({ "sip-port": "65535" }), 65535, 1), ConfigError);
});
