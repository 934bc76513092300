import assert from "node:assert/strict";
import { Location } from "../../lib/sipd/location.ts";
import { proxyRequest, proxyResponse } from "../../lib/sipd/stateless_proxy.ts";
import { SipHeaders } from "../../lib/sip/header.ts";
import { createResponse, NO_BODY, type SipRequest } from "../../lib/sip/message.ts";
import { formatSipUri, parseSipUri } from "../../lib/sip/uri.ts";
import { FakeClock } from "../support/fake_clock.ts";

const SELF = { hostname: "127.0.0.1", port: 5060 };

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
  const action = proxyRequest(request("INVITE", "sip:bob@any.domain"), withBob(), SELF, "t");
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
    const action = proxyRequest(request(method, "sip:bob@x", extra), location, SELF, "t");
    assert.ok(action.type === "forward");
    return action.request.headers.get("Via");
  };
  const invite = branchOf("INVITE");
  assert.equal(branchOf("CANCEL"), invite);
  assert.equal(branchOf("ACK"), invite);
  assert.notEqual(branchOf("INVITE", [["Call-ID", "c2"]]), invite);
});

Deno.test("a response loses our Via and goes back; a stranger's is dropped", () => {
  const action = proxyRequest(request("INVITE", "sip:bob@x"), withBob(), SELF, "t");
  assert.ok(action.type === "forward");
  const back = proxyResponse(createResponse(action.request, 180), SELF);
  assert.ok(back.type === "return");
  assert.deepEqual(back.response.headers.all("Via").length, 1);
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
      outcome: "404",
    },
  ];

for (const row of REFUSED) {
  Deno.test(`proxy: ${row.name} -> ${row.outcome}`, () => {
    const action = proxyRequest(request(row.method, row.uri, row.extra), withBob(), SELF, "t");
    assert.equal(action.type === "respond" ? String(action.response.status) : action.type, row.outcome);
  });
}

Deno.test("our own Route comes off, a foreign one is followed", () => {
  const own = proxyRequest(
    request("INVITE", "sip:bob@x", [["Route", "<sip:127.0.0.1:5060;lr>"]]),
    withBob(),
    SELF,
    "t",
  );
  assert.ok(own.type === "forward");
  assert.equal(own.request.headers.get("Route"), null);
  assert.equal(own.target.endpoint.port, 5080);
  const foreign = proxyRequest(
    request("BYE", "sip:bob@x", [["Route", "<sip:127.0.0.1:5099;lr>"]]),
    withBob(),
    SELF,
    "t",
  );
  assert.ok(foreign.type === "forward");
  assert.equal(foreign.target.endpoint.port, 5099);
});
