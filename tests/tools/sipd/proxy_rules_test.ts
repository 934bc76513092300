import assert from "node:assert/strict";
import fc from "fast-check";
import { WireError } from "../../../lib/base/errors.ts";
import { Location } from "../../../lib/tools/sipd/location.ts";
import { proxyRequest, proxyResponse, SelfAddress } from "../../../lib/tools/sipd/proxy.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import { createResponse, NO_BODY, type SipRequest } from "../../../lib/sip/message/message.ts";
import type { Flow } from "../../../lib/sip/message/target.ts";
import { formatSipUri, parseSipUri } from "../../../lib/sip/message/uri.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const SELF = new SelfAddress({ hostname: "127.0.0.1", port: 5060 }, { addressFor: () => "127.0.0.1" });
const CALLER = { hostname: "127.0.0.1", port: 5070 };
const HOP = { self: SELF, flow: flow("udp"), tag: "t" };

function flow(transport: "udp" | "tcp", connectionId = 0): Flow {
  return { transport, remote: CALLER, local: { hostname: "127.0.0.1", port: 5060 }, connectionId };
}

function request(method: string, uri: string, extra: [string, string][] = []): SipRequest {
  const headers = new SipHeaders([
    ["Via", "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKinv;rport=5070"],
    ["From", "<sip:a@x>;tag=f"],
    ["To", "<sip:b@x>"],
    ["Call-ID", "c1"],
    ["CSeq", `7 ${method}`],
    ["Max-Forwards", "70"],
  ]);
  for (const [name, value] of extra) headers.set(name, value);
  return { kind: "request", method, uri: parseSipUri(uri), headers, body: NO_BODY };
}

function withBob(): Location {
  const location = new Location(new FakeClock());
  location.register(
    request("REGISTER", "sip:x", [["To", "<sip:bob@x>"], ["Contact", "<sip:bob@127.0.0.1:5080;line=q>"]]),
    "t",
  );
  return location;
}

Deno.test("a request for a registered user goes to its contact with our Via on top", () => {
  const action = proxyRequest(request("INVITE", "sip:bob@any.domain"), withBob(), HOP);
  assert.ok(action.type === "forward");
  assert.equal(formatSipUri(action.request.uri), "sip:bob@127.0.0.1:5080;line=q");
  assert.deepEqual(action.target, { transport: "udp", endpoint: { hostname: "127.0.0.1", port: 5080 } });
  assert.equal(action.request.headers.all("Via").length, 2);
  assert.match(
    action.request.headers.get("Via") ?? "",
    /^SIP\/2.0\/UDP 127.0.0.1:5060;branch=z9hG4bK[0-9a-f]{16}/,
  );
  assert.equal(action.request.headers.get("Max-Forwards"), "69");
});

Deno.test("INVITE, its CANCEL and the ACK of its refusal share one branch; another call has another", () => {
  const location = withBob();
  const branchOf = (method: string, extra: [string, string][] = []) => {
    const action = proxyRequest(request(method, "sip:bob@x", extra), location, HOP);
    assert.ok(action.type === "forward");
    return action.request.headers.get("Via");
  };
  const invite = branchOf("INVITE");
  assert.equal(branchOf("CANCEL"), invite);
  assert.equal(branchOf("ACK"), invite);
  assert.notEqual(branchOf("INVITE", [["Call-ID", "c2"]]), invite);
});

Deno.test("a response loses our Via and goes back; one without it is dropped", () => {
  const action = proxyRequest(request("INVITE", "sip:bob@x"), withBob(), HOP);
  assert.ok(action.type === "forward");
  const back = proxyResponse(createResponse(action.request, 180), SELF);
  assert.ok(back.type === "return");
  assert.deepEqual(back.response.headers.all("Via").length, 1);
  assert.deepEqual(back.target, { transport: "udp", endpoint: CALLER });
  const stranger = proxyResponse(createResponse(request("INVITE", "sip:bob@x"), 180), SELF);
  assert.equal(stranger.type, "drop");
});

const REFUSED: { name: string; method: string; uri: string; extra?: [string, string][]; outcome: string }[] =
  [
    { name: "unknown user", method: "INVITE", uri: "sip:carol@x", outcome: "404" },
    {
      name: "no hops left",
      method: "INVITE",
      uri: "sip:bob@x",
      extra: [["Max-Forwards", "0"]],
      outcome: "483",
    },
    { name: "OPTIONS to the server", method: "OPTIONS", uri: "sip:127.0.0.1", outcome: "200" },
    { name: "ACK for nobody", method: "ACK", uri: "sip:carol@x", outcome: "drop" },
    {
      name: "a Route by name",
      method: "BYE",
      uri: "sip:bob@x",
      extra: [["Route", "<sip:host.example;lr>"]],
      outcome: "480",
    },
    {
      name: "a user registered at this very server",
      method: "INVITE",
      uri: "sip:loop@x",
      outcome: "482",
    },
    { name: "a contact by name", method: "INVITE", uri: "sip:named@x", outcome: "480" },
    { name: "a contact over TLS", method: "INVITE", uri: "sip:tls@x", outcome: "480" },
    { name: "an ACK that leads nowhere", method: "ACK", uri: "sip:named@x", outcome: "drop" },
    {
      name: "an extension for proxies",
      method: "INVITE",
      uri: "sip:bob@x",
      extra: [["Proxy-Require", "sec-agree"]],
      outcome: "420",
    },
  ];

function withOddContacts(): Location {
  const location = withBob();
  for (
    const contact of ["loop@127.0.0.1:5060", "named@phone.example", "tls@127.0.0.1:5061;transport=tls"]
  ) {
    const to = `<sip:${contact.split("@")[0]}@x>`;
    const message = request("REGISTER", "sip:x", [["To", to], ["Contact", `<sip:${contact}>`]]);
    assert.equal(location.register(message, "t").status, 200);
  }
  return location;
}

for (const row of REFUSED) {
  Deno.test(`proxy: ${row.name} -> ${row.outcome}`, () => {
    const action = proxyRequest(request(row.method, row.uri, row.extra), withOddContacts(), HOP);
    assert.equal(action.type === "respond" ? String(action.response.status) : action.type, row.outcome);
  });
}

Deno.test("our own Route comes off, a foreign one is followed", () => {
  const own = proxyRequest(
    request("INVITE", "sip:bob@x", [["Route", "<sip:127.0.0.1:5060;lr>"]]),
    withBob(),
    HOP,
  );
  assert.ok(own.type === "forward");
  assert.equal(own.request.headers.get("Route"), null);
  assert.equal(own.target.endpoint.port, 5080);
  const foreign = proxyRequest(
    request("BYE", "sip:bob@x", [["Route", "<sip:127.0.0.1:5099;lr>"]]),
    withBob(),
    HOP,
  );
  assert.ok(foreign.type === "forward");
  assert.equal(foreign.target.endpoint.port, 5099);
});

Deno.test("the answer to a request that came over TCP goes back by its connection", () => {
  const overTcp = request("INVITE", "sip:bob@x", [["Via", "SIP/2.0/TCP 10.0.0.9:5070;branch=z9hG4bKinv"]]);
  const action = proxyRequest(overTcp, withBob(), { ...HOP, flow: flow("tcp", 17) });
  assert.ok(action.type === "forward");
  const back = proxyResponse(createResponse(action.request, 180), SELF);
  assert.ok(back.type === "return");
  assert.equal(back.target.transport, "tcp");
  assert.equal(back.target.flow?.connectionId, 17);
  assert.deepEqual(back.target.endpoint, { hostname: "10.0.0.9", port: 5070 });
});

Deno.test("a built-in number is reached at the address that faces the caller", () => {
  const self = new SelfAddress({ hostname: "0.0.0.0", port: 5060 }, {
    addressFor: ({ hostname }) => hostname.startsWith("10.") ? "10.0.0.1" : "127.0.0.1",
  });
  const location = new Location(new FakeClock());
  location.addBuiltIn("echo", parseSipUri("sip:echo@0.0.0.0:40000;line=e"));
  const remote = { hostname: "10.0.0.7", port: 5060 };
  const hop = { self, flow: { ...flow("udp"), remote }, tag: "t" };
  const action = proxyRequest(request("INVITE", "sip:echo@10.0.0.1"), location, hop);
  assert.ok(action.type === "forward");
  assert.deepEqual(action.target.endpoint, { hostname: "10.0.0.1", port: 40000 });
  assert.match(action.request.headers.get("Via") ?? "", /^SIP\/2.0\/UDP 10.0.0.1:5060;/);
});

Deno.test("a Max-Forwards or Route that cannot be read is a WireError", () => {
  for (const extra of [["Max-Forwards", "-1"], ["Route", "<sip:"]] as [string, string][]) {
    assert.throws(() => proxyRequest(request("INVITE", "sip:bob@x", [extra]), withBob(), HOP), WireError);
  }
});

Deno.test("whatever Vias a response carries, it is returned, dropped or refused as a WireError", () => {
  const via = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.constantFrom(
      "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx",
      "SIP/2.0/TCP 127.0.0.1:5060;connection=99999999999999999999",
      "SIP/2.0/TLS h;received=[::1]",
    ),
  );
  fc.assert(fc.property(fc.array(via, { maxLength: 3 }), (vias) => {
    const response = createResponse(request("INVITE", "sip:bob@x"), 200);
    response.headers.delete("Via");
    try {
      for (const value of vias) response.headers.add("Via", value);
      assert.ok(["return", "drop"].includes(proxyResponse(response, SELF).type));
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
    }
  }));
});
