// Who gets the calls for an address when several clients say they have it: whoever has shown the password, in one
// gateway and in several, however they came.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { RtmpClient, RtmpRefused } from "../../lib/rtmp/client.ts";
import { PASSWORD, Registrar } from "../support/gateway_registrar.ts";
import { openRawPhone, rawInvite } from "../support/raw_phone.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { startGateway } from "../support/test_gateway.ts";
import { connectAt, startWorkers } from "../support/workers_house.ts";

const TAKEN =
  "NetConnection.Connect.Rejected: a client that gave a password is registered at this address: connect with login and password";

/** "in", or why not. */
async function knock(url: string): Promise<string> {
  try {
    await using _client = await RtmpClient.open(url, {
      clock: systemClock,
      log: silentLog,
      random: systemRandom,
    });
    return "in";
  } catch (error) {
    if (!(error instanceof RtmpRefused)) throw error;
    return `${error.code}: ${error.description}`;
  }
}

for (const policy of ["replace", "share", "reject"] as const) {
  Deno.test(`${policy}: a client without a password neither ousts alice nor gets her calls`, async () => {
    await using registrar = new Registrar();
    await using running = await startGateway({ "same-address": policy });
    const path = registrar.address("alice");
    const connect = (address: string, password?: string) =>
      RtmpPhone.connect({ url: running.url(address), ...(password !== undefined && { password }) });
    await using before = await connect(policy === "share" ? path : `${path}/before`);
    await using alice = await connect(path, PASSWORD);
    const refused = policy === "reject"
      ? "NetConnection.Connect.Rejected: another client uses this address"
      : TAKEN;
    assert.equal(await knock(running.url(path)), refused);
    assert.equal(await knock(`${running.url(path)}?dial=bob`), refused);
    const { sipPort } = running.gateway;
    const elsewhere = policy === "share" ? "alice@example.com" : `${path}/after`;
    await using after = await connect(elsewhere);
    await using ours = await connect(`alice@127.0.0.1:${sipPort}`);
    using desk = openRawPhone();
    for (const callId of ["one", "two"]) {
      desk.send(rawInvite(desk, { user: "alice", port: sipPort }, { callId }), sipPort);
      if (callId === "one") await alice.expect("invited");
      else await desk.receive(/^SIP\/2\.0 486/);
    }
    for (const stranger of [before, after, ours]) {
      assert.equal(stranger.callbacks.size, 0);
    }
  });
}

Deno.test("a newer registered client replaces one without a password, and an older one too", async () => {
  await using registrar = new Registrar();
  await using running = await startGateway();
  const url = running.url(registrar.address("alice"));
  await using stranger = await RtmpPhone.connect({ url });
  await using second = await RtmpPhone.connect({ url }); // nobody is registered: as before
  await stranger.client.closed;
  await using _alice = await RtmpPhone.connect({ url, password: PASSWORD });
  await second.client.closed;
});

Deno.test("two workers: the same, wherever they are", async () => {
  await using registrar = new Registrar();
  await using house = await startWorkers();
  const path = registrar.address("alice");
  await using alice = await connectAt(
    house,
    1,
    () => RtmpPhone.connect({ url: house.url(`sip/${path}`), password: PASSWORD }),
  );
  for (let n = 0; n < 4; n++) assert.equal(await knock(house.url(`sip/${path}`)), TAKEN);
  await using _stranger = await connectAt(
    house,
    0,
    () => RtmpPhone.connect({ url: house.url("sip/alice@127.0.0.1") }),
  );
  using desk = openRawPhone();
  const [base] = house.supervisor.sipPorts;
  desk.send(rawInvite(desk, { user: "alice", port: base! }, { callId: "far" }), base!);
  await alice.expect("invited");
});

Deno.test("the gateway's own account gets its calls, whoever has its name", async () => {
  await using running = await startGateway(
    {},
    '[[account]]\nname = "desk"\naddress = "desk@127.0.0.1:9"\npassword = "x"\nregister = false\nanswer = "no"\n',
  );
  const { sipPort } = running.gateway;
  await using stranger = await RtmpPhone.connect({ url: running.url(`desk@127.0.0.1:${sipPort}`) });
  using caller = openRawPhone();
  caller.send(rawInvite(caller, { user: "desk", port: sipPort }, { callId: "own" }), sipPort);
  await caller.receive(/^SIP\/2\.0 [456]\d\d/);
  assert.equal(stranger.callbacks.size, 0);
});
