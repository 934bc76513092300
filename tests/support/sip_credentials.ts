// The credentials of alice@pbx.example for tests: her servers have fixed addresses, and nothing is resolved but by a
// table.

import { seededRandom } from "../../lib/base/random.ts";
import { silentLog } from "../../lib/base/log.ts";
import { AccountServers, type CredentialsOptions, DigestCredentials } from "../../lib/sip/ua/credentials.ts";
import { DigestClient } from "../../lib/sip/ua/digest.ts";
import type { SipRouter } from "../../lib/sip/transport/routing.ts";
import type { Target } from "../../lib/sip/message/target.ts";
import { parseSipUri } from "../../lib/sip/message/uri.ts";
import { FakeClock } from "./fake_clock.ts";
import { identity } from "./sip_network.ts";

/** Resolves nothing. */
export const NO_ROUTER: Pick<SipRouter, "hopTo"> = {
  hopTo: () => Promise.resolve({ type: "unreachable", reason: "no name server" }),
};

/** Alice's password, for servers at these addresses; MD5 without qop is answered unless it is said otherwise. */
export function credentialsFor(
  servers: readonly Target[],
  more: Partial<CredentialsOptions> = {},
): { credentials: DigestCredentials; digest: DigestClient } {
  const digest = new DigestClient("alice", "secret", seededRandom(1));
  const accountServers = new AccountServers({
    identity: identity("sip:alice@pbx.example", "secret"),
    proxy: null,
    router: NO_ROUTER,
    clock: new FakeClock(),
  });
  accountServers.note(parseSipUri("sip:pbx.example"), servers);
  const options = { digest, servers: accountServers, md5WithoutQop: true, log: silentLog, ...more };
  return { credentials: new DigestCredentials(options), digest };
}
