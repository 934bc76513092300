// Answers to: lib/sip/message/target.ts.

import assert from "node:assert/strict";
import { formatEndpoint } from "../../../lib/net/endpoint.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import { createResponse, NO_BODY, type SipRequest } from "../../../lib/sip/message/message.ts";
import {
  type Flow,
  formatTarget,
  recordSource,
  responseEndpoint,
  responseListener,
  targetOf,
} from "../../../lib/sip/message/target.ts";
import { sipUri } from "../../../lib/sip/message/uri.ts";

Deno.test("target: the way back along a flow, and its text", () => {
  const flow: Flow = {
    transport: "tcp",
    remote: { hostname: "::1", port: 5060 },
    local: { hostname: "::1", port: 40000 },
    connectionId: 3,
  };
  assert.deepEqual(targetOf(flow), { transport: "tcp", endpoint: { hostname: "::1", port: 5060 }, flow });
  assert.equal(formatTarget(targetOf(flow)), "tcp [::1]:5060");
});

function requestVia(...vias: string[]): SipRequest {
  const headers = new SipHeaders(vias.map((via) => ["Via", via]));
  return { kind: "request", method: "OPTIONS", uri: sipUri("h"), headers, body: NO_BODY };
}

const B = "branch=z9hG4bK1";
const SOURCES: [
  name: string,
  via: string,
  source: string,
  port: number,
  noted: string,
  udp: string,
  tcp: string,
][] = [
  [
    "same address, no rport",
    `SIP/2.0/UDP 192.0.2.1:5062;${B}`,
    "192.0.2.1",
    9999,
    `SIP/2.0/UDP 192.0.2.1:5062;${B}`,
    "192.0.2.1:5062",
    "192.0.2.1:5062",
  ],
  [
    "no port means 5060",
    `SIP/2.0/UDP 192.0.2.1;${B}`,
    "192.0.2.1",
    9999,
    `SIP/2.0/UDP 192.0.2.1;${B}`,
    "192.0.2.1:5060",
    "192.0.2.1:5060",
  ],
  [
    "rport asked for",
    `SIP/2.0/UDP 192.0.2.1:5062;rport;${B}`,
    "192.0.2.1",
    9999,
    `SIP/2.0/UDP 192.0.2.1:5062;rport=9999;${B};received=192.0.2.1`,
    "192.0.2.1:9999",
    "192.0.2.1:5062",
  ],
  [
    "host name in sent-by",
    `SIP/2.0/UDP phone.example.net:5062;${B}`,
    "198.51.100.4",
    9999,
    `SIP/2.0/UDP phone.example.net:5062;${B};received=198.51.100.4`,
    "198.51.100.4:5062",
    "198.51.100.4:5062",
  ],
  [
    "quirk: no rport behind NAT is treated as rport",
    `SIP/2.0/UDP 192.168.1.7:5060;${B}`,
    "198.51.100.4",
    40123,
    `SIP/2.0/UDP 192.168.1.7:5060;${B};rport=40123;received=198.51.100.4`,
    "198.51.100.4:40123",
    "198.51.100.4:5060",
  ],
  [
    "a public sent-by elsewhere keeps its port",
    `SIP/2.0/UDP 203.0.113.9:5070;${B}`,
    "198.51.100.4",
    40123,
    `SIP/2.0/UDP 203.0.113.9:5070;${B};received=198.51.100.4`,
    "198.51.100.4:5070",
    "198.51.100.4:5070",
  ],
  [
    "received and rport values of the peer do not count",
    `SIP/2.0/UDP 192.0.2.1:5062;received=203.0.113.1;rport=1;${B}`,
    "192.0.2.1",
    9999,
    `SIP/2.0/UDP 192.0.2.1:5062;rport=9999;${B};received=192.0.2.1`,
    "192.0.2.1:9999",
    "192.0.2.1:5062",
  ],
  [
    "IPv6 spelled differently is the same",
    `SIP/2.0/TCP [2001:db8:0:0::1]:5062;${B}`,
    "2001:db8::1",
    9999,
    `SIP/2.0/TCP [2001:db8:0:0::1]:5062;${B}`,
    "[2001:db8:0:0::1]:5062",
    "[2001:db8:0:0::1]:5062",
  ],
  [
    "IPv6 with rport",
    `SIP/2.0/UDP [::1]:5062;rport;${B}`,
    "::1",
    7777,
    `SIP/2.0/UDP [::1]:5062;rport=7777;${B};received=::1`,
    "[::1]:7777",
    "[::1]:5062",
  ],
];

for (const [name, via, hostname, port, noted, udp, tcp] of SOURCES) {
  Deno.test(`response_route: ${name}`, () => {
    const request = requestVia(via, "SIP/2.0/UDP below;branch=z9hG4bK0");
    recordSource(request, { hostname, port });
    assert.deepEqual(request.headers.all("Via"), [noted, "SIP/2.0/UDP below;branch=z9hG4bK0"]);
    const response = createResponse(request, 200);
    assert.equal(formatEndpoint(responseEndpoint(response)!), udp);
    assert.equal(formatEndpoint(responseListener(response)!), tcp);
  });
}

const MADDRS: [maddr: string, endpoint: string][] = [
  ["239.255.255.1", "239.255.255.1:5070"],
  ["224.0.1.75", "224.0.1.75:5070"],
  ["ff02::1", "[ff02::1]:5070"],
  ["192.0.2.5", "192.0.2.1:9"],
  ["223.255.255.255", "192.0.2.1:9"],
  ["240.0.0.1", "192.0.2.1:9"],
  ["255.255.255.255", "192.0.2.1:9"],
  ["127.0.0.1", "192.0.2.1:9"],
  ["2001:db8::5", "192.0.2.1:9"],
  ["ff::1", "192.0.2.1:9"],
  ["::ffff:239.0.0.1", "192.0.2.1:9"],
  ["239.example.net", "192.0.2.1:9"],
  ["", "192.0.2.1:9"],
];

Deno.test("response_route: maddr counts only when it is multicast", () => {
  for (const [maddr, endpoint] of MADDRS) {
    const via = `SIP/2.0/UDP h:5070;maddr=${maddr};received=192.0.2.1;rport=9;${B}`;
    assert.equal(formatEndpoint(responseEndpoint(createResponse(requestVia(via), 200))!), endpoint, maddr);
  }
});

Deno.test("response_route: brackets around IPv6 are forgiven", () => {
  const brackets = createResponse(requestVia(`SIP/2.0/UDP h;received=[2001:db8::7];${B}`), 200);
  assert.equal(formatEndpoint(responseEndpoint(brackets)!), "[2001:db8::7]:5060");
});

Deno.test("response_route: a Via that cannot be read stays as it is", () => {
  for (const via of ["nonsense", `SIP/2.0/UDP h:x;rport;${B}`, `SIP/7.0/UDP h;${B}`]) {
    const request = requestVia(via);
    recordSource(request, { hostname: "192.0.2.1", port: 9 });
    assert.deepEqual(request.headers.all("Via"), [via]);
  }
});

Deno.test("response_route: no address in the Via, or no Via that can be read, is null", () => {
  for (const via of [`SIP/2.0/UDP h;${B}`, `SIP/2.0/UDP h;received=elsewhere;${B}`, "nonsense"]) {
    assert.equal(responseEndpoint(createResponse(requestVia(via), 200)), null);
    assert.equal(responseListener(createResponse(requestVia(via), 200)), null);
  }
  assert.equal(responseEndpoint(createResponse(requestVia(), 200)), null);
});
