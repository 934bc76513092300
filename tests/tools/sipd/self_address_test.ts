import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import type { Endpoint } from "../../../lib/net/endpoint.ts";
import { SelfAddress } from "../../../lib/tools/sipd/self_address.ts";

/** A host with 10.0.0.1 towards 10.x, 192.0.2.1 towards the rest, and no IPv6. */
const FACING = {
  addressFor({ hostname }: Endpoint): string {
    if (hostname.includes(":")) throw new TransportError("no IPv6", "unreachable");
    if (hostname.startsWith("127.")) return "127.0.0.1";
    return hostname.startsWith("10.") ? "10.0.0.1" : "192.0.2.1";
  },
};

const ROWS: { listen: string; host: string; port: number | null; own: boolean }[] = [
  { listen: "127.0.0.1", host: "127.0.0.1", port: 5060, own: true },
  { listen: "127.0.0.1", host: "127.0.0.1", port: null, own: true },
  { listen: "127.0.0.1", host: "localhost", port: 5060, own: true },
  { listen: "127.0.0.1", host: "127.0.0.1", port: 5061, own: false },
  { listen: "127.0.0.1", host: "10.0.0.1", port: 5060, own: false },
  { listen: "10.0.0.1", host: "10.0.0.1", port: 5060, own: true },
  { listen: "10.0.0.1", host: "127.0.0.1", port: 5060, own: false },
  { listen: "::1", host: "0:0:0:0:0:0:0:1", port: 5060, own: true },
  { listen: "0.0.0.0", host: "127.0.0.1", port: 5060, own: true },
  { listen: "0.0.0.0", host: "10.0.0.1", port: 5060, own: true },
  { listen: "0.0.0.0", host: "192.0.2.1", port: 5060, own: true },
  { listen: "0.0.0.0", host: "10.0.0.2", port: 5060, own: false },
  { listen: "0.0.0.0", host: "2001:db8::1", port: 5060, own: false },
  { listen: "0.0.0.0", host: "host.example", port: 5060, own: false },
];

for (const { listen, host, port, own } of ROWS) {
  Deno.test(`listening on ${listen}, ${host}:${port} ${own ? "is" : "is not"} ours`, () => {
    assert.equal(new SelfAddress({ hostname: listen, port: 5060 }, FACING).includes(host, port), own);
  });
}

Deno.test("a bound address is told to everybody, else the one that faces the peer", () => {
  const peer = { hostname: "10.0.0.7", port: 1 };
  const bound = new SelfAddress({ hostname: "192.0.2.1", port: 5070 }, FACING);
  assert.deepEqual(bound.towards(peer), { hostname: "192.0.2.1", port: 5070 });
  const everywhere = new SelfAddress({ hostname: "0.0.0.0", port: 5070 }, FACING);
  assert.deepEqual(everywhere.towards(peer), { hostname: "10.0.0.1", port: 5070 });
  assert.throws(() => everywhere.towards({ hostname: "2001:db8::1", port: 1 }), TransportError);
});
