// Tests of lib/sip/ua/outgoing_request.ts: the headers of requests outside dialogs.

import assert from "node:assert/strict";
import { textBody } from "../../../lib/sip/message/body.ts";
import { encodeSipMessage, type SipRequest } from "../../../lib/sip/message/message.ts";
import { formatNameAddr, parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { formatSipUri, parseSipUri } from "../../../lib/sip/message/uri.ts";
import {
  createOutgoingRequest,
  MAX_SERVICE_ROUTES,
  proxyRoute,
  routeSet,
  ServiceRoute,
  withNextSequence,
} from "../../../lib/sip/ua/outgoing_request.ts";
import { responseTo, sipRequest } from "../../support/sip_messages.ts";
import { collect, identity, sdp, SipNetwork } from "../../support/sip_network.ts";

const parts = {
  method: "INVITE",
  uri: parseSipUri("sip:bob:pw@example.net;method=BYE?Subject=x"),
  from: parseNameAddr('"Alice" <sip:alice@example.com>'),
  fromTag: "tag1",
  to: parseNameAddr('"Bob" <sip:bob@example.net?Subject=x>;tag=no'),
  callId: "id1",
  sequence: 1,
  contact: parseNameAddr("<sip:alice@10.0.0.1:5060;line=abc>"),
  routes: [],
  userAgent: "siprtmp/1",
  body: null,
};

Deno.test("a request has the mandatory headers and nothing that does not belong there", () => {
  const text = new TextDecoder().decode(encodeSipMessage(createOutgoingRequest(parts)));
  assert.equal(
    text,
    [
      "INVITE sip:bob@example.net SIP/2.0",
      "Max-Forwards: 70",
      'From: "Alice" <sip:alice@example.com>;tag=tag1',
      'To: "Bob" <sip:bob@example.net>',
      "Call-ID: id1",
      "CSeq: 1 INVITE",
      "Contact: <sip:alice@10.0.0.1:5060;line=abc>",
      "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE",
      "Supported: timer, 100rel",
      "User-Agent: siprtmp/1",
      "Content-Length: 0",
      "",
      "",
    ].join("\r\n"),
  );
});

Deno.test("an outbound proxy becomes a loose route", () => {
  const request = createOutgoingRequest({
    ...parts,
    routes: proxyRoute(parseSipUri("sip:proxy.example.com:5080;transport=tcp")),
  });
  assert.equal(request.headers.get("Route"), "<sip:proxy.example.com:5080;transport=tcp;lr>");
  assert.equal(request.uri.host, "example.net");
});

Deno.test("a repetition has the next CSeq and leaves the original alone", () => {
  const request = createOutgoingRequest({ ...parts, contact: null });
  assert.equal(request.headers.has("Contact"), false);
  assert.equal(withNextSequence(request).headers.get("CSeq"), "2 INVITE");
  assert.equal(request.headers.get("CSeq"), "1 INVITE");
});

/** Preloaded routes, and the Request-URI and Route that come of them. */
const ROUTES: [routes: string[], uri: string, route: string[]][] = [
  [[], "sip:bob@example.net", []],
  [["<sip:a;lr>"], "sip:bob@example.net", ["<sip:a;lr>"]],
  [["<sip:a;lr>", "<sip:b;lr>"], "sip:bob@example.net", ["<sip:a;lr>", "<sip:b;lr>"]],
  [["<sip:a>"], "sip:a", ["<sip:bob@example.net>"]],
  [["<sip:a>", "<sip:b;lr>"], "sip:a", ["<sip:b;lr>", "<sip:bob@example.net>"]],
  [["<sip:a;lr>", "<sip:b>"], "sip:bob@example.net", ["<sip:a;lr>", "<sip:b>"]],
];

for (const [routes, uri, route] of ROUTES) {
  Deno.test(`by way of ${routes.join(" ") || "nothing"}: ${uri}`, () => {
    const request = createOutgoingRequest({ ...parts, routes: routes.map(parseNameAddr) });
    assert.equal(formatSipUri(request.uri), uri);
    assert.deepEqual(request.headers.all("Route"), route);
  });
}

function learnt(...values: string[]): { understood: boolean; hops: string[] } {
  const route = new ServiceRoute();
  route.learn(responseTo(sipRequest("REGISTER"), 200, "t", { "Service-Route": "<sip:before;lr>" }));
  const understood = route.learn(responseTo(sipRequest("REGISTER"), 200, "t", { "Service-Route": values }));
  return { understood, hops: route.hops.map(formatNameAddr) };
}

/** What a 200 says, and what is kept of it. */
const SAID: [values: string[], understood: boolean, hops: string[]][] = [
  [[], true, []],
  [["<sip:p1;lr>"], true, ["<sip:p1;lr>"]],
  [["<sip:p1;lr>", "<sip:p2;lr>"], true, ["<sip:p1;lr>", "<sip:p2;lr>"]],
  [["<sip:p1;lr>, <sip:p2:5070;transport=tcp;lr>"], true, ["<sip:p1;lr>", "<sip:p2:5070;transport=tcp;lr>"]],
  [['"Name" <sip:token@p1;lr>;x=y'], true, ["<sip:token@p1;lr>"]],
  [["<sip:strict>"], true, ["<sip:strict>"]],
  [["<sip:p1;lr>", "<sip:"], false, []],
  [["<http://p1>"], false, []],
  [["<tel:123>"], false, []],
  [Array.from({ length: MAX_SERVICE_ROUTES + 1 }, (_, n) => `<sip:p${n};lr>`), false, []],
];

for (const [values, understood, hops] of SAID) {
  Deno.test(`Service-Route ${values.join(" ").slice(0, 60) || "left out"}: ${hops.length} hops`, () => {
    assert.deepEqual(learnt(...values), { understood, hops });
  });
}

/** Outbound proxy, service route, and the way of requests. */
const WAYS: [proxy: string | null, service: string[], way: string[]][] = [
  [null, [], []],
  ["sip:out", [], ["<sip:out;lr>"]],
  [null, ["<sip:s;lr>"], ["<sip:s;lr>"]],
  ["sip:out", ["<sip:s;lr>"], ["<sip:out;lr>", "<sip:s;lr>"]],
  ["sip:out", ["<sip:OUT;lr>", "<sip:s;lr>"], ["<sip:OUT;lr>", "<sip:s;lr>"]],
  ["sip:out:5060", ["<sip:out;lr>"], ["<sip:out;lr>"]],
  ["sip:out:5070", ["<sip:out;lr>"], ["<sip:out:5070;lr>", "<sip:out;lr>"]],
];

for (const [proxy, service, way] of WAYS) {
  Deno.test(`by ${proxy ?? "no proxy"} and ${service.join(" ") || "no service route"}`, () => {
    const routes = routeSet(proxy === null ? null : parseSipUri(proxy), service.map(parseNameAddr));
    assert.deepEqual(routes.map(formatNameAddr), way);
  });
}

Deno.test("calls and messages go by what each 200 names, REGISTER does not; the next 200 replaces it", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const registrar = network.peer("10.0.0.9");
  const [first, second, bob] = ["10.0.0.5", "10.0.0.6", "10.0.0.7"].map((host) => network.peer(host));
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.9", "secret"));
  const forever = new AbortController().signal;
  const registering = alice.register(forever);
  const grant = (request: SipRequest, routes: Record<string, string>) =>
    registrar.answer(request, 200, {
      headers: { Contact: request.headers.get("Contact") ?? "", ...routes, Path: "<sip:10.0.0.5;lr>" },
    });
  const register = await registrar.request("REGISTER");
  assert.deepEqual(register.headers.all("Supported"), ["timer", "100rel", "path"]);
  grant(register, { "Service-Route": "<sip:10.0.0.5;lr>, <sip:orig@10.0.0.55;lr>" });
  await network.settled(registering);

  const to = parseNameAddr("sip:bob@10.0.0.7");
  collect(alice.invite(to, sdp("offer"), forever));
  const invite = await first!.request("INVITE");
  assert.deepEqual(invite.headers.all("Route"), ["<sip:10.0.0.5;lr>", "<sip:orig@10.0.0.55;lr>"]);
  assert.equal(formatSipUri(invite.uri), "sip:bob@10.0.0.7");
  first!.answer(invite, 486);
  assert.deepEqual((await first!.request("ACK")).headers.all("Route"), invite.headers.all("Route"));

  const sent = alice.request("MESSAGE", to, textBody("hi"), forever);
  first!.answer(await first!.request("MESSAGE"), 200);
  assert.equal((await network.settled(sent)).status, 200);

  const refresh = await registrar.request("REGISTER", 200_000);
  assert.equal(refresh.headers.has("Route"), false);
  grant(refresh, { "Service-Route": "<sip:10.0.0.6>" });
  await network.clock.advanceAsync(50);
  collect(alice.invite(to, sdp("offer"), forever));
  const strict = await second!.request("INVITE");
  assert.equal(formatSipUri(strict.uri), "sip:10.0.0.6");
  assert.deepEqual(strict.headers.all("Route"), ["<sip:bob@10.0.0.7>"]);
  second!.answer(strict, 486);

  grant(await registrar.request("REGISTER", 200_000), {});
  await network.clock.advanceAsync(50);
  collect(alice.invite(to, sdp("offer"), forever));
  const direct = await bob!.request("INVITE");
  assert.equal(direct.headers.has("Route"), false);
  bob!.answer(direct, 486);
  const closing = network.close(endpoint);
  registrar.answer(await registrar.request("REGISTER"), 200);
  await closing;
});

Deno.test("the server of a Service-Route may ask for the password, in the realm of the registrar only", async () => {
  for (const [realm, answered] of [["home", true], ["elsewhere", false]] as const) {
    const network = new SipNetwork();
    const endpoint = network.endpoint("10.0.0.1");
    const [registrar, server] = [network.peer("10.0.0.9"), network.peer("10.0.0.5")];
    const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.9", "secret"));
    const forever = new AbortController().signal;
    const registering = alice.register(forever);
    const challenge = (of: string) => `Digest realm="${of}", nonce="n", qop="auth"`;
    registrar.answer(await registrar.request("REGISTER"), 407, {
      headers: { "Proxy-Authenticate": challenge("home") },
    });
    const register = await registrar.request("REGISTER");
    registrar.answer(register, 200, { headers: { "Service-Route": "<sip:10.0.0.5;lr>" } });
    await network.settled(registering);
    const steps = collect(alice.invite(parseNameAddr("sip:bob@10.0.0.7"), sdp("offer"), forever));
    const invite = await server!.request("INVITE");
    server!.answer(invite, 407, { headers: { "Proxy-Authenticate": challenge(realm) } });
    await server!.request("ACK");
    if (answered) server!.answer(await server!.request("INVITE"), 486);
    await network.until("the refusal", () => steps.length > 0);
    const [step] = steps;
    assert.equal(step?.type === "refused" && step.status, answered ? 486 : 407);
    const closing = network.close(endpoint);
    registrar.answer(await registrar.request("REGISTER"), 200);
    await closing;
  }
});
