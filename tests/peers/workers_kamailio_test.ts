// Two workers behind a real registrar and proxy: Kamailio forks to them, and brings the BYEs of one that broke down.

import assert from "node:assert/strict";
import { startKamailio } from "../support/kamailio.ts";
import { hasPeer } from "../support/peers.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { startGateway } from "../support/test_gateway.ts";
import { connectAt, startWorkers, until, type WorkersHouse } from "../support/workers_house.ts";

const ignore = !hasPeer("kamailio");

function phoneAt(
  house: WorkersHouse,
  worker: number,
  at: { name: string; port: number; answers?: string[] },
): Promise<RtmpPhone> {
  const { name, port, answers } = at;
  return connectAt(house, worker, () =>
    RtmpPhone.connect({
      url: house.url(`sip/${name}@127.0.0.1:${port}`),
      login: name,
      password: `${name}-secret`,
      ...(answers !== undefined && { answers }),
    }));
}

Deno.test(
  { name: "clients that share an address on two workers both ring; one answers", ignore },
  async () => {
    await using kamailio = await startKamailio();
    const { port } = kamailio;
    await using house = await startWorkers({ "same-address": "share" });
    await using desk0 = await phoneAt(house, 0, { name: "desk", port });
    await using desk1 = await phoneAt(house, 1, { name: "desk", port });
    await using caller = await phoneAt(house, 0, { name: "caller", port });
    caller.client.send("invite", "desk", "pcmu");
    await Promise.all([desk0.expect("invited"), desk1.expect("invited")]);
    desk1.client.send("accept", "pcmu");
    await Promise.all([desk1.expect("accepted"), caller.expect("accepted"), desk0.expect("cancelled")]);
    assert.deepEqual([house.supervisor.usageOf(0).calls, house.supervisor.usageOf(1).calls], [1, 1]);
    caller.client.send("bye");
    await desk1.expect("byed");
  },
);

Deno.test(
  { name: "a worker breaks down: the remote party behind the proxy gets its BYE", ignore },
  async () => {
    await using kamailio = await startKamailio();
    const { port } = kamailio;
    await using far = await startGateway({ "rtp-ports": "20000-29999" });
    await using bob = await RtmpPhone.connect({
      url: far.url(`bob@127.0.0.1:${port}`),
      login: "bob",
      password: "bob-secret",
      answers: ["pcmu"],
    });
    await using house = await startWorkers();
    await using alice = await phoneAt(house, 1, { name: "alice", port });
    alice.client.send("invite", "bob", "pcmu");
    await bob.expect("accepted");
    house.crash(1, "throw");
    await bob.expect("byed");
    await alice.client.closed;
    await until(
      "answered",
      () => /1 calls of the crashed worker: BYE sent to all, 1 answered/.test(house.lines()),
      house.lines,
    );
    // She comes back, wherever the kernel puts her, and is reached there.
    await using back = await phoneAt(house, 0, { name: "alice", port, answers: ["pcmu"] });
    bob.client.send("invite", "alice", "pcmu");
    await back.expect("accepted");
  },
);
