// Who is reached how through deploy/kamailio.cfg: users at the gateway they registered by, numbers of clients that did
// not register at whichever gateway has them, everything else on the trunk; and who is not let through.

import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { type Site, startSite } from "../support/deploy_site.ts";
import { Trunk } from "../support/deploy_trunk.ts";
import { hasPeer } from "../support/peers.ts";
import { speak } from "../support/rtmp_phone.ts";

const ignore = !hasPeer("haproxy", "kamailio");

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const gatewayOf = (site: Site, user: string) =>
  site.gateways.findIndex((gateway) => gateway.output().includes(`${user}@`));

Deno.test(
  { name: "the trunk and users of both gateways reach each other, and are heard", ignore },
  async () => {
    await using site = await startSite();
    await using alice = await site.connect("alice1", { answers: ["pcmu"], echo: true });
    await using bob = await site.connect("alice2", { answers: ["pcmu"] });
    assert.notEqual(gatewayOf(site, "alice1"), gatewayOf(site, "alice2"));
    assert.equal(await site.trunk.call("alice1", site.sip), "200 OK");
    await alice.expect("byed");
    bob.client.send("invite", "alice1", "pcmu");
    await bob.expect("accepted");
    const sent = await speak(bob.speaking, { tag: 0x82, count: 50, size: 160 });
    await pause(300);
    assert.deepEqual(bob.audio.map(String), sent.map(String), "there and back between the gateways");
    bob.client.send("bye");
    await alice.expect("byed");
    bob.client.send("invite", "+1 (555) 0100", "pcmu");
    await bob.expect("accepted");
    assert.deepEqual(site.trunk.calls.map(({ number }) => number), ["+15550100"]);
  },
);

Deno.test({ name: "a trunk that is silent and one that is full are passed over", ignore }, async () => {
  using silent = new Trunk("127.0.0.21");
  silent.silent = true;
  using full = new Trunk("127.0.0.22");
  full.full = true;
  await using site = await startSite({ trunksBefore: [silent, full] });
  await using alice = await site.connect("alice1");
  alice.client.send("invite", "7001", "pcmu");
  await alice.expect("accepted");
  assert.ok(silent.asked > 0);
  assert.equal(full.asked, 1);
  assert.deepEqual([silent, full, site.trunk].map(({ calls }) => calls.length), [0, 0, 1]);
});

Deno.test(
  { name: "a number that is not registered is found at whichever gateway has it", ignore },
  async () => {
    await using site = await startSite();
    await using desk = await site.connect("reception", { password: "", answers: ["pcmu"] });
    await using _other = await site.connect("alice1");
    for (let call = 1; call <= 4; call++) { // the gateways are asked in turn
      assert.equal(await site.trunk.call("reception", site.sip), "200 OK", `call ${call}`);
      await desk.expect("byed");
    }
    assert.equal(await site.trunk.call("nobody", site.sip), "404 Not Found");
    await site.gateways[1 - gatewayOf(site, "reception")]!.stop("SIGKILL");
    for (let call = 1; call <= 2; call++) {
      assert.equal(
        await site.trunk.call("reception", site.sip),
        "200 OK",
        `call ${call} after the other was killed`,
      );
      await desk.expect("byed");
    }
  },
);

Deno.test({ name: "without the password nobody registers, calls, or is somebody else", ignore }, async () => {
  await using site = await startSite();
  await assert.rejects(site.connect("alice1", { password: "wrong" }), /401 Unauthorized/);
  await assert.rejects(
    site.connect("alice1", { login: "alice2", password: "alice2-secret" }),
    /403 Register as yourself/,
  );
  await assert.rejects(site.connect("dora"), /401 Unauthorized/);
  await pause(1100); // the table's time of change is in seconds
  await site.addUser("dora");
  await using _dora = await site.connect("dora");
  await using nobody = await site.connect("alice1", { password: "" });
  nobody.client.send("invite", "7001", "pcmu");
  assert.match(String((await nobody.expect("rejected"))[0]), /^407 /);
  assert.deepEqual(site.trunk.calls, []);
});

Deno.test(
  { name: "who comes too often, or when all gateways are full, is refused", ignore },
  async () => {
    const balancer = { CONNECTIONS_PER_ADDRESS: "3", CONNECTIONS_PER_GATEWAY: "1" };
    await using site = await startSite({ balancer });
    await using _first = await site.connect("alice1");
    await using _second = await site.connect("alice2");
    const refused: string[] = [];
    const tries = async (who: string): Promise<void> => {
      await assert.rejects(site.connect("alice3"), TransportError);
      refused.push(who);
    };
    const third = tries("waited for room at a gateway");
    await pause(200);
    await tries("was one more than an address may have");
    await third;
    assert.deepEqual(refused, ["was one more than an address may have", "waited for room at a gateway"]);
    await pause(300); // its log is a little behind
    assert.match(site.haproxy.output(), /rtmp gateways\/<NOSRV> .* sQ /);
  },
);

Deno.test({
  name: "the newest client of an address has it, whichever gateway it came to; the one before is told",
  ignore,
}, async () => {
  await using site = await startSite({ defines: { LONGEST_REGISTRATION: "10" } }); // refreshed after 9 s
  await using before = await site.connect("alice1", { answers: ["pcmu"] });
  await using newest = await site.connect("alice1", { answers: ["pcmu"] });
  assert.ok(site.gateways.every((gateway) => gateway.output().includes("alice1@")), "one at each gateway");
  const reachesNewest = async (): Promise<void> => {
    assert.equal(await site.trunk.call("alice1", site.sip), "200 OK");
    await newest.expect("byed");
  };
  await reachesNewest();
  assert.deepEqual(await before.expect("unregistered"), ["403 A newer client has this address"]);
  await reachesNewest();
  await before[Symbol.asyncDispose](); // takes back what it does not have
  await reachesNewest();
});
