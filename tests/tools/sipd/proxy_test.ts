// The proxy's port with a transport that the test holds in its hands, and between scripted peers in memory.

import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import { TargetPolicy } from "../../../lib/gateway/access/target_policy.ts";
import type { Endpoint } from "../../../lib/net/endpoint.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import { NO_BODY, type SipMessage, type SipRequest } from "../../../lib/sip/message/message.ts";
import type { Flow, SendOutcome, Target } from "../../../lib/sip/message/target.ts";
import { parseSipUri } from "../../../lib/sip/message/uri.ts";
import type { MessageTransport } from "../../../lib/sip/ua/endpoint.ts";
import { Location } from "../../../lib/tools/sipd/location.ts";
import { type FacingAddress, Proxy, SelfAddress } from "../../../lib/tools/sipd/proxy.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";
import { sdp, SipNetwork } from "../../support/sip_network.ts";
import { memoryTransports } from "../../support/sipd_bench.ts";

const LOCAL = { hostname: "10.0.0.1", port: 5060 };
const FLOW: Flow = {
  transport: "udp",
  remote: { hostname: "10.0.0.9", port: 5060 },
  local: LOCAL,
  connectionId: 0,
};

function request(method: string, uri: string, changes: Record<string, string> = {}): SipRequest {
  const headers = new SipHeaders(Object.entries({
    "Via": "SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKx",
    "From": "<sip:a@x>;tag=f",
    "To": "<sip:bob@x>",
    "Call-ID": "c",
    "CSeq": `1 ${method}`,
    ...changes,
  }));
  return { kind: "request", method, uri: parseSipUri(uri), headers, body: NO_BODY };
}

/** A proxy whose sends do what `outcome` says. */
function bench(
  outcome: (message: SipMessage, target: Target) => Promise<SendOutcome>,
  facing: FacingAddress = { addressFor: () => "10.0.0.1" },
  listen = LOCAL.hostname,
) {
  const sent: string[] = [];
  const transport: MessageTransport = {
    port: 5060,
    onMessage: null,
    send: (message, target) => {
      const what = message.kind === "request" ? message.method : message.status;
      sent.push(`${what} to ${target.endpoint.hostname}`);
      return outcome(message, target);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const log = new RecordLog();
  const location = new Location(new FakeClock());
  const self = new SelfAddress({ hostname: listen, port: 5060 }, facing);
  const proxy = new Proxy({ transport, location, self, tag: "srv", log });
  const receive = async (message: SipMessage) => {
    transport.onMessage?.(message, FLOW);
    await settle();
    return sent.splice(0);
  };
  location.register(request("REGISTER", "sip:x", { Contact: "<sip:bob@10.0.0.7:5080>" }), "t");
  return { proxy, receive, log, transport };
}

const WORKS = (_message: SipMessage, target: Target): Promise<SendOutcome> =>
  Promise.resolve({ type: "sent", transport: target.transport, flow: FLOW });

Deno.test("requests that cannot be read get 400, except ACK", async () => {
  const { proxy, receive } = bench(WORKS);
  const broken = { "Max-Forwards": "many" };
  assert.deepEqual(await receive(request("INVITE", "sip:bob@x", broken)), ["400 to 10.0.0.9"]);
  assert.deepEqual(await receive(request("ACK", "sip:bob@x", broken)), []);
  assert.deepEqual(await receive(request("INVITE", "sip:bob@x", { Route: "<sip:" })), ["400 to 10.0.0.9"]);
  await proxy[Symbol.asyncDispose]();
});

Deno.test("a next hop that cannot be reached is 503, except for ACK", async () => {
  const nowhere = (message: SipMessage, target: Target): Promise<SendOutcome> =>
    message.kind === "request"
      ? Promise.resolve({ type: "failed", reason: "refused" })
      : WORKS(message, target);
  const { proxy, receive } = bench(nowhere);
  assert.deepEqual(await receive(request("INVITE", "sip:bob@x")), ["INVITE to 10.0.0.7", "503 to 10.0.0.9"]);
  assert.deepEqual(await receive(request("ACK", "sip:bob@x")), ["ACK to 10.0.0.7"]);
  await proxy[Symbol.asyncDispose]();
});

Deno.test("a network that is not there is 503", async () => {
  const facing = {
    addressFor: () => {
      throw new TransportError("no network", "unreachable");
    },
  };
  const { proxy, receive } = bench(WORKS, facing, "0.0.0.0");
  assert.deepEqual(await receive(request("INVITE", "sip:bob@x")), ["503 to 10.0.0.9"]);
  await proxy[Symbol.asyncDispose]();
});

Deno.test("responses nobody sent through here are dropped, with a line for those who debug", async () => {
  const { proxy, receive, log } = bench(WORKS);
  const stray: SipMessage = {
    kind: "response",
    status: 200,
    reason: "OK",
    headers: new SipHeaders([["Via", "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKy"], ["CSeq", "1 INVITE"]]),
    body: NO_BODY,
  };
  assert.deepEqual(await receive(stray), []);
  assert.match(log.at("debug")[0]!, /200 from 10\.0\.0\.9:5060 dropped: not sent through here/);
  await proxy[Symbol.asyncDispose]();
});

Deno.test("a flood is dropped, not stored", async () => {
  const gate = Promise.withResolvers<SendOutcome>();
  let sent = 0;
  const { proxy, transport } = bench(() => {
    sent++;
    return gate.promise;
  });
  for (let i = 0; i < 5000; i++) transport.onMessage?.(request("OPTIONS", "sip:x"), FLOW);
  await settle();
  assert.equal(sent, 2000);
  gate.resolve({ type: "failed", reason: "over" });
  await proxy[Symbol.asyncDispose]();
});

Deno.test("between two peers: INVITE, CANCEL, 487 and its ACK, and retransmissions, all by one path", async () => {
  const network = new SipNetwork({ duplication: 0.5, seed: 7 });
  const open = memoryTransports(network);
  const transport = open({ bind: "10.0.0.1", port: 5060 });
  const location = new Location(network.clock);
  const self = new SelfAddress(LOCAL, { addressFor: () => "10.0.0.1" });
  const proxy = new Proxy({ transport, location, self, tag: "srv", log: network.log });
  const alice = network.peer("10.0.0.9");
  const bob = network.peer("10.0.0.7", 5080);
  bob.send(
    bob.build("REGISTER", "sip:10.0.0.1", {
      To: "<sip:bob@10.0.0.1>",
      Contact: "<sip:bob@10.0.0.7:5080;line=q>",
    }),
    "10.0.0.1",
  );
  const registered = await bob.response(200, "REGISTER");
  assert.match(registered.headers.get("Contact") ?? "", /line=q.*expires=3600/);

  const invite = alice.build("INVITE", "sip:bob@10.0.0.1", {}, sdp("offer"));
  alice.send(invite, "10.0.0.1");
  const arrived = await bob.request("INVITE");
  assert.equal(arrived.headers.get("Max-Forwards"), "69");
  assert.deepEqual(arrived.body, invite.body);
  bob.answer(arrived, 180);
  await alice.response(180);
  const via = { Via: invite.headers.get("Via") ?? "" };
  alice.send(alice.build("CANCEL", "sip:bob@10.0.0.1", { ...via, CSeq: "1 CANCEL" }), "10.0.0.1");
  const cancel = await bob.request("CANCEL");
  const branch = (message: SipRequest) => /branch=([^;]+)/.exec(message.headers.get("Via") ?? "")?.[1];
  assert.equal(branch(cancel), branch(arrived));
  bob.answer(cancel, 200);
  await alice.response(200, "CANCEL");
  bob.answer(arrived, 487);
  const refusal = await alice.response(487);
  const to = { To: refusal.headers.get("To") ?? "" };
  alice.send(alice.build("ACK", "sip:bob@10.0.0.1", { ...via, ...to, CSeq: "1 ACK" }), "10.0.0.1");
  assert.equal(branch(await bob.request("ACK")), branch(arrived));
  await proxy[Symbol.asyncDispose]();
});

Deno.test("a proxy that is told where not to send refuses to register such contacts and to follow such routes", async () => {
  const sent: string[] = [];
  const transport: MessageTransport = {
    port: 5060,
    onMessage: null,
    send: (message, target) => {
      sent.push(
        `${message.kind === "request" ? message.method : message.status} to ${target.endpoint.hostname}`,
      );
      return Promise.resolve({ type: "failed", reason: "nobody" });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const location = new Location(new FakeClock());
  const self = new SelfAddress({ hostname: "10.0.0.1", port: 5060 }, { addressFor: () => "10.0.0.1" });
  const guard = new TargetPolicy({ allowed: [], open: [] });
  await using _proxy = new Proxy({ transport, location, self, tag: "srv", log: new RecordLog(), guard });
  const receive = async (message: SipMessage) => {
    transport.onMessage?.(message, FLOW);
    await settle();
  };
  for (const contact of ["127.0.0.1:22", "[::1]", "localhost", "169.254.169.254"]) {
    await receive(request("REGISTER", "sip:x", { Contact: `<sip:bob@${contact}>`, Expires: "60" }));
    await receive(request("INVITE", "sip:bob@x", { Route: `<sip:${contact};transport=tcp;lr>` }));
  }
  assert.deepEqual(sent, Array(8).fill("403 to 10.0.0.9"));
  assert.equal(location.size, 0);
  await receive(request("REGISTER", "sip:x", { Contact: "<sip:bob@10.0.0.9>", Expires: "60" }));
  assert.deepEqual([sent.at(-1), location.size], ["200 to 10.0.0.9", 1]);
});

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
