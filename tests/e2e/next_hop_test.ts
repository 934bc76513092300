// The next hop of an outgoing call is resolved once: what the description, Contact and Via say, and where INVITE, CANCEL
// and everything else goes, is one choice among servers of equal rank.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { loadCodecs } from "../../lib/codecs/load.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { Gateway } from "../../lib/gateway/gateway.ts";
import type { DnsResolver } from "../../lib/net/dns.ts";
import { testSockets } from "../support/test_gateway.ts";
import { header, waitFor, WireClient, WirePeer } from "../support/text_peer.ts";

const CALLS = 12;

Deno.test("a call to a domain with weighted servers asks DNS once and stays with the server it has chosen", async () => {
  using one = new WirePeer();
  using two = new WirePeer();
  const asked: string[] = [];
  const dns: DnsResolver = {
    naptr: () => Promise.resolve([]),
    srv(name) {
      asked.push(name);
      const records = [one, two].map(({ port }) => ({
        priority: 1,
        weight: 50,
        port,
        target: `p${port}.example`,
      }));
      return Promise.resolve(name === "_sip._udp.weighted.example" ? records : []);
    },
    a: () => Promise.resolve(["127.0.0.1"]),
    aaaa: () => Promise.resolve([]),
  };
  const flags = { host: "127.0.0.1", port: "0", "int-ip": "0.0.0.0", "sip-port": "0", sockets: testSockets };
  const environment = {
    clock: systemClock,
    log: silentLog,
    random: systemRandom,
    dns,
    codecs: await loadCodecs(),
  };
  await using gateway = await Gateway.start(buildConfig({ flags }), environment);
  await using client = await WireClient.open(`rtmp://127.0.0.1:${gateway.rtmp.port}/sip/alice@127.0.0.1`);
  const chosen: WirePeer[] = [];
  for (let call = 1; call <= CALLS; call++) {
    asked.length = 0;
    client.client.send("invite", "sip:bob@weighted.example", "pcmu");
    const invites = (peer: WirePeer): string[] => peer.received.filter((text) => text.startsWith("INVITE"));
    const all = await waitFor("INVITE", () => {
      const found = [...invites(one), ...invites(two)];
      return found.length === call && found;
    });
    const peer = [one, two].find((candidate) => candidate.received.at(-1)?.startsWith("INVITE"))!;
    const invite = peer.received.at(-1)!;
    chosen.push(peer);
    assert.equal(all.length, call);
    assert.deepEqual(asked.toSorted(), ["_sip._tcp.weighted.example", "_sip._udp.weighted.example"]);
    assert.match(invite, /^c=IN IP4 127\.0\.0\.1\r$/m);
    assert.match(header(invite, "Contact"), /@127\.0\.0\.1:/);
    assert.match(header(invite, "Via"), /^SIP\/2\.0\/UDP 127\.0\.0\.1:/);
    peer.answer(invite, "486 Busy Here");
    await waitFor("ACK where the INVITE went", () => peer.received.at(-1)?.startsWith("ACK"));
    await waitFor(
      "rejected",
      () => client.told.filter((line) => line.startsWith("rejected")).length === call,
    );
  }
  assert.equal(new Set(chosen).size, 2, "both servers of equal rank are used");
});
