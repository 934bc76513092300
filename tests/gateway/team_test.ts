// What a gateway does with a team: asks it, tells it, and gives clients away. That there may be several gateways is
// proved in tests/workers and tests/e2e.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { LocalCounter } from "../../lib/base/counter.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { Gateway } from "../../lib/gateway/gateway.ts";
import type { StreamsWorker, Team } from "../../lib/gateway/team.ts";
import { AddressRegistry } from "../../lib/gateway/shared_address.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { denoSockets } from "../../lib/net/sockets.ts";
import type { ByteStream } from "../../lib/net/byte_stream.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import type { RtmpConnection } from "../../lib/rtmp/connection.ts";
import { RecordingWorkerEvents } from "../support/worker_events.ts";

const ENVIRONMENT = {
  clock: systemClock,
  log: silentLog,
  random: systemRandom,
  dns: systemDns,
  sockets: denoSockets,
};

interface FakeTeam extends Team {
  /** What was asked and told, in words. */
  readonly heard: string[];
  /** Clients that have entered. */
  readonly inside: RtmpConnection[];
}

function fakeTeam(streams: StreamsWorker): FakeTeam {
  const heard: string[] = [];
  const inside: RtmpConnection[] = [];
  const local = new AddressRegistry<RtmpConnection>({ policy: "replace", accounts: [] });
  let ids = 100;
  return {
    heard,
    inside,
    sip: new RecordingWorkerEvents(),
    joinTransport: (transport) => {
      heard.push("joined");
      return transport;
    },
    nextConnectionId: () => ids++,
    connections: new LocalCounter(),
    calls: new LocalCounter(),
    sipAddresses: {
      get size() {
        return local.size;
      },
      arrive: (path, registers) => Promise.resolve(local.arrive(path, registers)),
      enter: (path, client, registered) => {
        heard.push(`enter ${path.key} ${client.id}`);
        inside.push(client);
        return Promise.resolve(local.enter(path, client, registered));
      },
      leave: (path, client) => local.leave(path, client),
    },
    addresses: { tell: ({ type }) => void heard.push(type), onChange: null },
    streams,
  };
}

function startGateway(team: Team, flags: Record<string, string | boolean> = {}): Promise<Gateway> {
  const config = buildConfig({
    flags: { host: "127.0.0.1", port: "0", "int-ip": "127.0.0.1", "sip-port": "0", ...flags },
  });
  return Gateway.start(config, { ...ENVIRONMENT, team });
}

/** A home of streams that is elsewhere, and writes down who is carried there. */
function elsewhere(carried: ByteStream[]): StreamsWorker {
  return {
    type: "elsewhere",
    watch: (stream) => stream,
    carry: (stream) => {
      carried.push(stream);
      stream.close();
      return Promise.resolve();
    },
  };
}

Deno.test("team: it is asked about SIP clients, told of users, and can replace a client", async () => {
  const team = fakeTeam(elsewhere([]));
  await using gateway = await startGateway(team);
  const url = `rtmp://127.0.0.1:${gateway.rtmp.port}/sip/alice@127.0.0.1`;
  await using client = await RtmpClient.open(url, ENVIRONMENT);
  assert.deepEqual(team.heard, ["joined", "enter sip/alice@127.0.0.1 100"]);
  assert.deepEqual([team.connections.here, gateway.usage.clients], [1, 1]);
  const { agents } = team.sip as RecordingWorkerEvents;
  assert.deepEqual([...agents.values()].map(({ user, host }) => `${user}@${host}`), ["alice@127.0.0.1"]);
  const [inside] = team.inside;
  team.sipAddresses.onReplaced?.(inside!, { address: "alice@127.0.0.1", key: "sip/alice@127.0.0.1" });
  await client.closed;
});

Deno.test("team: what addresses did elsewhere counts here, and what they do here is told", async () => {
  const team = fakeTeam(elsewhere([]));
  await using gateway = await startGateway(team, {
    "rtmp-token": "0123456789abcdef",
    "max-failed-logins": "1",
  });
  const url = `rtmp://127.0.0.1:${gateway.rtmp.port}/sip/alice@127.0.0.1`;
  const refused = assert.rejects(RtmpClient.open(url, ENVIRONMENT), /a login is needed/);
  while (!team.heard.includes("login failed")) await new Promise((go) => setTimeout(go, 5));
  await refused;
  assert.ok(team.addresses.onChange);
});

Deno.test("team: whoever needs streams is carried home, and whose calls are published too", async () => {
  const carried: ByteStream[] = [];
  const team = fakeTeam(elsewhere(carried));
  await using gateway = await startGateway(team, { "publish-calls": true });
  for (const path of ["live/room", "call/desk/100", "line/desk", "sip/alice@127.0.0.1"]) {
    const before = carried.length;
    await assert.rejects(RtmpClient.open(`rtmp://127.0.0.1:${gateway.rtmp.port}/${path}`, ENVIRONMENT));
    assert.equal(carried.length, before + 1, path);
  }
  await assert.rejects(
    RtmpClient.open(`rtmp://127.0.0.1:${gateway.rtmp.port}/sip/nobody`, ENVIRONMENT),
    /not a SIP address/,
  );
  assert.equal(carried.length, 4);
});

Deno.test("team: limits count everybody's connections and calls", async () => {
  const team = fakeTeam(elsewhere([]));
  const full = { ...team, connections: { here: 0, everywhere: 1000, add: () => {} } };
  await using gateway = await startGateway(full, { "max-connections": "999" });
  const url = `rtmp://127.0.0.1:${gateway.rtmp.port}/sip/alice@127.0.0.1`;
  await assert.rejects(RtmpClient.open(url, ENVIRONMENT));
  const busy = { ...fakeTeam(elsewhere([])), calls: { here: 0, everywhere: 5, add: () => {} } };
  await using other = await startGateway(busy, { "max-calls": "5" });
  await assert.rejects(
    RtmpClient.open(`rtmp://127.0.0.1:${other.rtmp.port}/sip/alice@127.0.0.1`, ENVIRONMENT),
    /there are 5 calls, 5 are allowed/,
  );
});
