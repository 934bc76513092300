// Answers to: lib/sip/ua/credentials.ts. Whose challenges a password answers: a table of one response each, then whole
// exchanges over a network: an unknown server gets to see nothing of the password.

import assert from "node:assert/strict";
import type { SipRequest } from "../../../lib/sip/message/message.ts";
import type { TransportName } from "../../../lib/sip/message/transports.ts";
import type { Target } from "../../../lib/sip/message/target.ts";
import { parseSipUri } from "../../../lib/sip/message/uri.ts";
import type { SipRouter } from "../../../lib/sip/transport/routing.ts";
import { AccountServers } from "../../../lib/sip/ua/credentials.ts";
import type { Identity } from "../../../lib/sip/ua/identity.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";
import { accepted, dial, nextInvitation } from "../../support/sip_calls.ts";
import { credentialsFor } from "../../support/sip_credentials.ts";
import { responseTo, sipRequest, targetAt } from "../../support/sip_messages.ts";
import { identity, type ScriptedPeer, sdp, SipNetwork } from "../../support/sip_network.ts";

type Challenge = readonly [status: 401 | 407, text: string];

const www = (
  realm: string,
  rest = ', qop="auth"',
): Challenge => [401, `Digest realm="${realm}", nonce="n"${rest}`];
const proxy = (
  realm: string,
  rest = ', qop="auth"',
): Challenge => [407, `Digest realm="${realm}", nonce="n"${rest}`];

/** Each step: the method, what is challenged, and whether it is answered. All come from one of the user's servers. */
const REALMS: [why: string, ...steps: [method: string, challenge: Challenge, answered: boolean][]][] = [
  ["the first realm of a call", ["INVITE", proxy("pbx"), true]],
  ["a realm known from REGISTER", ["REGISTER", www("pbx"), true], ["INVITE", proxy("pbx"), true]],
  ["the proxy's own realm", ["REGISTER", www("pbx"), true], ["INVITE", proxy("edge"), true]],
  ["REGISTER may ask for two", ["REGISTER", proxy("edge"), true], ["REGISTER", www("pbx"), true]],
  ["another 407 behind the proxy", ["INVITE", proxy("edge"), true], ["INVITE", proxy("evil"), false]],
  ["another 401 after REGISTER", ["REGISTER", www("pbx"), true], ["INVITE", www("evil"), false]],
  ["in MESSAGE as in INVITE", ["MESSAGE", proxy("edge"), true], ["BYE", proxy("evil"), false]],
  ["realms have capitals", ["REGISTER", www("pbx"), true], ["INVITE", www("PBX"), false]],
  ["a new realm of the registrar", ["REGISTER", www("old"), true], ["REGISTER", www("new"), true], [
    "INVITE",
    www("new"),
    true,
  ]],
];

for (const [why, ...steps] of REALMS) {
  Deno.test(`credentials: ${why}`, () => {
    const log = new RecordLog("info");
    const { credentials } = credentialsFor([targetAt()], { log });
    for (const [index, [method, [status, text], answered]] of steps.entries()) {
      const request = { ...sipRequest(method) };
      request.headers.set("Call-ID", `c${index}`);
      const name = status === 401 ? "WWW-Authenticate" : "Proxy-Authenticate";
      const answers = credentials.authorize(
        responseTo(request, status, "t", { [name]: text }),
        request,
        targetAt(),
      );
      assert.ok(!(answers instanceof Promise));
      assert.equal(answers !== null, answered, `${method} ${text}`);
    }
    const refused = steps.filter(([, , answered]) => !answered).length;
    assert.equal(log.lines.length, refused, "what is refused is told");
    for (const line of log.lines) assert.match(line, /the realm ".*" is not one of the user's own servers/);
  });
}

/** What is challenged, whether MD5 without qop is allowed, and the algorithm that is answered. */
const ALGORITHMS: [challenges: string[], allowed: boolean, answered: string | null][] = [
  [['realm="r", nonce="n"'], false, null],
  [['realm="r", nonce="n", algorithm=MD5'], false, null],
  [['realm="r", nonce="n", algorithm=md5-sess'], false, null],
  [['realm="r", nonce="n", algorithm=MD5, qop=""'], false, null],
  [['realm="r", nonce="n", algorithm=MD5'], true, "MD5"],
  [['realm="r", nonce="n", algorithm=MD5, qop="auth"'], false, "MD5"],
  [['realm="r", nonce="n", algorithm=SHA-256'], false, "SHA-256"],
  [
    ['realm="r", nonce="n", algorithm=MD5', 'realm="r", nonce="n", algorithm=SHA-256, qop="auth"'],
    false,
    "SHA-256",
  ],
  [['realm="r", nonce="n", algorithm=MD5', 'realm="r", nonce="m", algorithm=MD5, qop="auth"'], false, "MD5"],
  [
    ['realm="r", nonce="n", algorithm=MD5, qop="auth"', 'realm="r", nonce="n", algorithm=SHA-512-256'],
    true,
    "SHA-512-256",
  ],
];

for (const [challenges, allowed, answered] of ALGORITHMS) {
  Deno.test(`credentials: ${challenges.join(" and ")}: ${answered ?? "not answered"}`, () => {
    const log = new RecordLog("info");
    const { credentials } = credentialsFor([targetAt()], { log, md5WithoutQop: allowed });
    const request = sipRequest("REGISTER");
    const response = responseTo(request, 401, "t");
    for (const one of challenges) response.headers.add("WWW-Authenticate", `Digest ${one}`);
    const answers = credentials.authorize(response, request, targetAt());
    assert.ok(!(answers instanceof Promise));
    assert.equal(/algorithm=([\w-]+)/.exec(answers?.[0]?.value ?? "")?.[1] ?? null, answered);
    if (answered !== null) return assert.deepEqual(log.lines, []);
    assert.equal(log.lines.length, 1);
    assert.match(
      log.lines[0]!,
      /401 of 192\.0\.2\.1:5060 to REGISTER.*md5-without-qop = true in the \[\[account\]\]/,
    );
  });
}

Deno.test("credentials: nothing is sent unasked unless every target is one of the user's servers", () => {
  const { credentials } = credentialsFor([targetAt("udp", 1)]);
  const request = sipRequest("INVITE");
  const response = responseTo(request, 407, "t", { "Proxy-Authenticate": proxy("r")[1] });
  credentials.authorize(response, request, targetAt("udp", 1));
  assert.equal(credentials.reuse(request, [targetAt("udp", 1)]).length, 1);
  assert.equal(credentials.reuse(request, [targetAt("tcp", 1)]).length, 1);
  assert.deepEqual(credentials.reuse(request, [targetAt("udp", 2)]), []);
  assert.deepEqual(credentials.reuse(request, [targetAt("udp", 1), targetAt("udp", 2)]), []);
});

/** Alice of 10.0.0.9 at 10.0.0.1, and a host of somebody else at 10.0.0.66. */
function scene(proxyUri: string | null = null) {
  const network = new SipNetwork();
  const outboundProxy = proxyUri === null ? null : parseSipUri(proxyUri);
  const endpoint = network.endpoint("10.0.0.1", { outboundProxy });
  const alice = endpoint.createUserAgent({
    ...identity("sip:alice@pbx.example", "secret"),
    md5WithoutQop: true,
  });
  network.names.set("pbx.example", ["10.0.0.9"]);
  network.names.set("proxy.example", ["10.0.0.5"]);
  return {
    network,
    endpoint,
    alice,
    pbx: network.peer("10.0.0.9"),
    evil: network.peer("10.0.0.66"),
    end: () => network.close(endpoint),
  };
}

const CHOSEN = { "Proxy-Authenticate": 'Digest realm="pbx.example", nonce="chosen", algorithm=MD5' };
const hasCredentials = ({ headers }: SipRequest): boolean =>
  headers.has("Authorization") || headers.has("Proxy-Authorization");
const shown = (peer: ScriptedPeer): boolean =>
  peer.received.some((one) => one.kind === "request" && hasCredentials(one));

for (const [status, name] of [[401, "WWW-Authenticate"], [407, "Proxy-Authenticate"]] as const) {
  Deno.test(`credentials: an unknown server that is called and answers ${status} gets none; the call is refused with it`, async () => {
    const set = scene();
    const attempt = dial(set.alice, "sip:x@10.0.0.66");
    const challenge = { [name]: CHOSEN["Proxy-Authenticate"] };
    set.evil.answer(await set.evil.request("INVITE"), status, { headers: challenge });
    await set.network.until("the refusal", () => attempt.steps.length > 0);
    assert.deepEqual(attempt.steps.map((step) => step.type === "refused" && step.status), [status]);
    assert.equal(shown(set.evil), false);
    assert.match(
      set.network.log.lines.join("\n"),
      /of 10\.0\.0\.66:5060 to INVITE is not answered: it is not the user's registrar/,
    );
    await set.end();
  });
}

Deno.test("credentials: a MESSAGE challenged by an unknown server is not sent again with any", async () => {
  const set = scene();
  const to = { displayName: null, uri: parseSipUri("sip:x@10.0.0.66"), params: new Map() };
  const sending = set.alice.request("MESSAGE", to, null, new AbortController().signal);
  set.evil.answer(await set.evil.request("MESSAGE"), 401, {
    headers: { "WWW-Authenticate": CHOSEN["Proxy-Authenticate"] },
  });
  assert.equal((await set.network.settled(sending)).status, 401);
  assert.equal(shown(set.evil), false);
  await set.end();
});

Deno.test("credentials: a call through the user's server whose peer is elsewhere gives it none: ACK, re-INVITE, BYE", async () => {
  const set = scene();
  const attempt = dial(set.alice, "sip:x@pbx.example");
  set.pbx.answer(await set.pbx.request("INVITE"), 407, { headers: CHOSEN });
  await set.pbx.request("ACK");
  const again = await set.pbx.request("INVITE");
  assert.ok(hasCredentials(again), "the user's own server is answered, whatever its name resolves to");
  set.pbx.answer(again, 200, { body: sdp("answer"), headers: { Contact: "<sip:x@10.0.0.66>" } });
  const call = await accepted(set.network, attempt);
  const ack = await set.evil.request("ACK");
  assert.equal(hasCredentials(ack), false, "the ACK goes straight to the peer");
  const offering = call.reoffer(sdp("hold"));
  set.evil.answer(await set.evil.request("INVITE"), 407, { headers: CHOSEN });
  assert.equal((await set.network.settled(offering)).type, "refused");
  const hungUp = call.hangUp();
  const bye = await set.evil.request("BYE");
  assert.equal(hasCredentials(bye), false);
  set.evil.answer(bye, 407, { headers: CHOSEN });
  await set.network.settled(hungUp);
  assert.equal(shown(set.evil), false);
  await set.end();
});

Deno.test("credentials: a call that came from the user's server before anything was resolved", async () => {
  const set = scene();
  const invite = set.pbx.build("INVITE", `sip:alice@10.0.0.1;line=${set.alice.line}`, {}, sdp("offer"));
  set.pbx.send(invite, "10.0.0.1");
  const invitation = await nextInvitation(set.network, set.alice);
  const accepting = invitation.accept(sdp("answer"));
  const ok = await set.pbx.response(200, "INVITE");
  set.pbx.send(set.pbx.buildAsCaller("ACK", invite, ok, 1), "10.0.0.1");
  const outcome = await set.network.settled(accepting);
  assert.ok(outcome.type === "confirmed");
  const hungUp = outcome.call.hangUp();
  set.pbx.answer(await set.pbx.request("BYE"), 401, {
    headers: { "WWW-Authenticate": 'Digest realm="pbx", nonce="n", qop="auth"' },
  });
  const again = await set.pbx.request("BYE");
  assert.ok(hasCredentials(again));
  set.pbx.answer(again, 200);
  await set.network.settled(hungUp);
  await set.end();
});

Deno.test("credentials: the outbound proxy of all is answered for its realm; another relayed by it is not", async () => {
  const set = scene("sip:proxy.example;lr");
  const hop = set.network.peer("10.0.0.5");
  const attempt = dial(set.alice, "sip:x@evil.example");
  hop.answer(await hop.request("INVITE"), 407, {
    headers: { "Proxy-Authenticate": 'Digest realm="proxy.example", nonce="n", qop="auth"' },
  });
  await hop.request("ACK");
  const again = await hop.request("INVITE");
  assert.match(again.headers.get("Proxy-Authorization") ?? "", /realm="proxy.example"/);
  hop.answer(again, 407, { headers: CHOSEN });
  await set.network.until("the refusal", () => attempt.steps.length > 0);
  assert.deepEqual(attempt.steps.map((step) => step.type === "refused" && step.status), [407]);
  assert.match(
    set.network.log.lines.join("\n"),
    /the realm "pbx.example" is not one of the user's own servers/,
  );
  await set.end();
});

const at = (hostname: string, port = 5060, transport: TransportName = "udp"): Target => ({
  transport,
  endpoint: { hostname, port },
});

interface Row {
  readonly why: string;
  readonly user?: Partial<Identity>;
  readonly proxy?: string;
  /** What a request was resolved from, and to. */
  readonly uri: string;
  readonly to: Target;
  readonly asked: Target;
  readonly own: boolean;
}

const PBX = at("192.0.2.10");

const ROWS: Row[] = [
  { why: "the domain", uri: "sip:bob@pbx.example", to: PBX, asked: PBX, own: true },
  { why: "in capitals", uri: "sip:bob@PBX.Example", to: PBX, asked: PBX, own: true },
  { why: "with the dot at its end", uri: "sip:bob@pbx.example.", to: PBX, asked: PBX, own: true },
  {
    why: "by the other transport",
    uri: "sip:bob@pbx.example;transport=tcp",
    to: at("192.0.2.10", 5060, "tcp"),
    asked: PBX,
    own: true,
  },
  {
    why: "another port of its host",
    uri: "sip:bob@pbx.example",
    to: PBX,
    asked: at("192.0.2.10", 5099),
    own: false,
  },
  {
    why: "the name with another port",
    uri: "sip:bob@pbx.example:5099",
    to: at("192.0.2.10", 5099),
    asked: at("192.0.2.10", 5099),
    own: false,
  },
  {
    why: "an unknown server",
    uri: "sip:bob@evil.example",
    to: at("198.51.100.1"),
    asked: at("198.51.100.1"),
    own: false,
  },
  {
    why: "a name within",
    uri: "sip:b@pbx.example.evil",
    to: at("198.51.100.1"),
    asked: at("198.51.100.1"),
    own: false,
  },
  {
    why: "a name before",
    uri: "sip:b@evil-pbx.example",
    to: at("198.51.100.1"),
    asked: at("198.51.100.1"),
    own: false,
  },
  {
    why: "a name as user",
    uri: "sip:pbx.example@evil.example",
    to: at("198.51.100.1"),
    asked: at("198.51.100.1"),
    own: false,
  },
  {
    why: "maddr leads elsewhere",
    uri: "sip:bob@pbx.example;maddr=198.51.100.1",
    to: at("198.51.100.1"),
    asked: at("198.51.100.1"),
    own: false,
  },
  {
    why: "a registrar of its own",
    user: { registrar: parseSipUri("sip:reg.example:5080") },
    uri: "sip:reg.example:5080",
    to: at("192.0.2.20", 5080),
    asked: at("192.0.2.20", 5080),
    own: true,
  },
  {
    why: "a proxy",
    proxy: "sip:192.0.2.30;lr",
    uri: "sip:192.0.2.30;lr",
    to: at("192.0.2.30"),
    asked: at("192.0.2.30"),
    own: true,
  },
  {
    why: "IPv6, spelled differently",
    proxy: "sip:[2001:db8::1]:5062",
    uri: "sip:[2001:DB8:0:0:0:0:0:1]:5062",
    to: at("2001:db8:0:0::1", 5062),
    asked: at("2001:db8::1", 5062),
    own: true,
  },
  { why: "IPv4 in IPv6", uri: "sip:pbx.example", to: PBX, asked: at("::ffff:192.0.2.10"), own: true },
];

for (const { why, user, proxy, uri, to, asked, own } of ROWS) {
  Deno.test(`a user's servers: ${why}: ${own ? "yes" : "no"}`, () => {
    const servers = new AccountServers({
      identity: { ...identity("sip:alice@pbx.example", "secret"), ...user },
      proxy: proxy === undefined ? null : parseSipUri(proxy),
      router: { hopTo: () => assert.fail("nothing is resolved unasked") },
      clock: new FakeClock(),
    });
    assert.equal(servers.includes(asked), false);
    servers.note(parseSipUri(uri), [to]);
    assert.equal(servers.includes(asked), own);
  });
}

Deno.test("a user's servers: their names are resolved when asked, and not again within ten seconds", async () => {
  const clock = new FakeClock();
  const asked: string[] = [];
  const router: Pick<SipRouter, "hopTo"> = {
    hopTo: ({ host }) => {
      asked.push(host);
      const targets: [Target] = [at(host === "pbx.example" ? "192.0.2.10" : "192.0.2.30")];
      return Promise.resolve({ targets, localAddress: "192.0.2.1" });
    },
  };
  const proxy = parseSipUri("sip:proxy.example;lr");
  const user = identity("sip:alice@pbx.example", "secret");
  const servers = new AccountServers({ identity: user, proxy, router, clock });
  const first = servers.lookUp();
  assert.equal(servers.lookUp(), first, "one at a time");
  await first;
  assert.deepEqual([servers.includes(PBX), servers.includes(at("192.0.2.30"))], [true, true]);
  assert.deepEqual(asked, ["pbx.example", "pbx.example", "proxy.example"]);
  assert.equal(servers.lookUp(), null);
  clock.advance(10_000);
  assert.notEqual(servers.lookUp(), null);
});

Deno.test("a user's servers: the registrar may name another one as the way of all requests (RFC 3608)", () => {
  const user = identity("sip:alice@pbx.example", "secret");
  const router = { hopTo: () => assert.fail() };
  const servers = new AccountServers({ identity: user, proxy: null, router, clock: new FakeClock() });
  const edge = [at("192.0.2.77")];
  servers.note(parseSipUri("sip:edge.example;lr"), edge);
  assert.equal(servers.includes(edge[0]!), false);
  servers.note(parseSipUri("sip:edge.example;lr"), edge, true);
  assert.equal(servers.includes(edge[0]!), true);
});

Deno.test("a user's servers: addresses are bounded, the oldest goes", () => {
  const user = identity("sip:alice@pbx.example", "secret");
  const router = { hopTo: () => assert.fail() };
  const servers = new AccountServers({ identity: user, proxy: null, router, clock: new FakeClock() });
  for (let n = 0; n < 70; n++) servers.note(parseSipUri("sip:pbx.example"), [at(`192.0.2.${n}`)]);
  assert.deepEqual([servers.includes(at("192.0.2.0")), servers.includes(at("192.0.2.69"))], [false, true]);
});
