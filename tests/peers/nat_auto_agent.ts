// Runs inside the NAT of nat_scenario.ts: what the gateway does for `-e auto` and its keep-alives, without the gateway.
// `deno run nat_auto_agent.ts STUN-SERVER REGISTRAR` registers alice and prints its log until it is killed.

import { systemClock } from "../../lib/base/clock.ts";
import { openLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { parseEndpoint } from "../../lib/net/endpoint.ts";
import { PublicAddress } from "../../lib/net/public_address.ts";
import { AddressPolicy } from "../../lib/net/route.ts";
import { SipEndpoint } from "../../lib/sip/ua/endpoint.ts";
import { parseSipUri } from "../../lib/sip/message/uri.ts";

const BIND = "10.1.0.2";
const [stunServer = "", registrar = ""] = Deno.args;
const { log } = openLog({ verbosity: "debug" });
const environment = { clock: systemClock, log, random: systemRandom, dns: systemDns };
const addresses = new AddressPolicy({ bind: BIND, advertise: null });
const endpoint = SipEndpoint.open({
  bind: BIND,
  port: 5062,
  portFallback: false,
  addresses,
  outboundProxy: null,
  userAgent: "inside",
  expiresSeconds: 60,
  keepAlive: { method: "stun", periodMs: 1_000 },
}, environment);
const watch = new PublicAddress({
  ...environment,
  server: parseEndpoint(stunServer, 3478),
  bind: BIND,
  onAddress: (address) => {
    addresses.publicAddress = address;
    endpoint.refreshRegistrations();
  },
});
const never = new AbortController().signal;
void watch.run(never);
await watch.settled;
const alice = endpoint.createUserAgent({
  aor: parseSipUri(`sip:alice@${registrar}`),
  displayName: null,
  username: null,
  password: "secret",
});
const outcome = await alice.register(never);
log.info(`registered: ${outcome.type}`);
