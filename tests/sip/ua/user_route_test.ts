// Users with a registrar, a proxy and a transport of their own, beside the proxy of the endpoint: where every kind
// of request goes, by which transport, and what is written on it. Answers to: firstHop of lib/sip/ua/sip_core.ts.

import assert from "node:assert/strict";
import { textBody } from "../../../lib/sip/message/body.ts";
import type { Identity } from "../../../lib/sip/ua/identity.ts";
import type { SipRequest } from "../../../lib/sip/message/message.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { formatSipUri, parseSipUri } from "../../../lib/sip/message/uri.ts";
import { collect, identity, sdp, SipNetwork } from "../../support/sip_network.ts";

const GLOBAL = "sip:10.0.0.8";

interface Row {
  what: string;
  own: { registrar?: string; proxy?: string; transport?: "udp" | "tcp" };
  global?: boolean;
  /** Host that gets REGISTER, its Request-URI, Route and transport. */
  register: [host: string, uri: string, route: string | null, transport: string];
  /** The same for INVITE, MESSAGE and OPTIONS to bob@10.0.0.7. */
  others: [host: string, uri: string, route: string | null, transport: string];
}

const BOB = "sip:bob@10.0.0.7";

const TABLE: Row[] = [
  {
    what: "nothing of its own: the domain, and straight to the target",
    own: {},
    register: ["10.0.0.9", "sip:pbx.example", null, "UDP"],
    others: ["10.0.0.7", BOB, null, "UDP"],
  },
  {
    what: "the proxy of the endpoint",
    own: {},
    global: true,
    register: ["10.0.0.8", "sip:pbx.example", "<sip:10.0.0.8;lr>", "UDP"],
    others: ["10.0.0.8", BOB, "<sip:10.0.0.8;lr>", "UDP"],
  },
  {
    what: "its own proxy instead of it",
    own: { proxy: "sip:10.0.0.6" },
    global: true,
    register: ["10.0.0.6", "sip:pbx.example", "<sip:10.0.0.6;lr>", "UDP"],
    others: ["10.0.0.6", BOB, "<sip:10.0.0.6;lr>", "UDP"],
  },
  {
    what: "a registrar elsewhere gets REGISTER only",
    own: { registrar: "sip:10.0.0.5" },
    register: ["10.0.0.5", "sip:10.0.0.5", null, "UDP"],
    others: ["10.0.0.7", BOB, null, "UDP"],
  },
  {
    what: "both: the registrar is asked through the proxy",
    own: { registrar: "sip:10.0.0.5", proxy: "sip:10.0.0.6" },
    register: ["10.0.0.6", "sip:10.0.0.5", "<sip:10.0.0.6;lr>", "UDP"],
    others: ["10.0.0.6", BOB, "<sip:10.0.0.6;lr>", "UDP"],
  },
  {
    what: "TCP to all that names no transport",
    own: { transport: "tcp" },
    register: ["10.0.0.9", "sip:pbx.example", null, "TCP"],
    others: ["10.0.0.7", BOB, null, "TCP"],
  },
  {
    what: "TCP to a proxy without transport, also to that of the endpoint",
    own: { transport: "tcp" },
    global: true,
    register: ["10.0.0.8", "sip:pbx.example", "<sip:10.0.0.8;lr>", "TCP"],
    others: ["10.0.0.8", BOB, "<sip:10.0.0.8;lr>", "TCP"],
  },
  {
    what: "the transport of a URI is its own",
    own: { transport: "tcp", registrar: "sip:10.0.0.5;transport=udp" },
    register: ["10.0.0.5", "sip:10.0.0.5;transport=udp", null, "UDP"],
    others: ["10.0.0.7", BOB, null, "TCP"],
  },
  {
    what: "so is that of the proxy",
    own: { transport: "udp", proxy: "sip:10.0.0.6;transport=tcp" },
    register: ["10.0.0.6", "sip:pbx.example", "<sip:10.0.0.6;transport=tcp;lr>", "TCP"],
    others: ["10.0.0.6", BOB, "<sip:10.0.0.6;transport=tcp;lr>", "TCP"],
  },
];

function identityOf({ own }: Row): Identity {
  const { registrar, proxy, transport } = own;
  return {
    ...identity("sip:alice@pbx.example"),
    ...(registrar !== undefined && { registrar: parseSipUri(registrar) }),
    ...(proxy !== undefined && { proxy: parseSipUri(proxy) }),
    ...(transport !== undefined && { transport }),
  };
}

function seen(host: string, request: SipRequest): Row["others"] {
  const via = request.headers.get("Via") ?? "";
  const transport = /^SIP\/2\.0\/(\w+)/.exec(via)?.[1] ?? "";
  const contact = request.headers.get("Contact");
  if (contact !== null) assert.equal(/;transport=tcp/.test(contact), transport === "TCP", contact);
  return [host, formatSipUri(request.uri), request.headers.get("Route"), transport];
}

for (const row of TABLE) {
  Deno.test(`a user's way: ${row.what}`, async () => {
    const network = new SipNetwork();
    network.names.set("pbx.example", ["10.0.0.9"]);
    const endpoint = network.endpoint("10.0.0.1", {
      outboundProxy: row.global === true ? parseSipUri(GLOBAL) : null,
      keepAlive: { method: "options", periodMs: 25_000 },
    });
    const log: { method: string; seen: Row["others"] }[] = [];
    for (const host of ["10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.9"]) {
      const peer = network.peer(host);
      peer.onMessage = (message) => {
        if (message.kind === "request" && message.method !== "ACK") {
          log.push({ method: message.method, seen: seen(host, message) });
          const contact = message.headers.get("Contact") ?? "";
          peer.answer(message, message.method === "INVITE" ? 486 : 200, { headers: { Contact: contact } });
        }
        return true;
      };
    }
    const alice = endpoint.createUserAgent(identityOf(row));
    const forever = new AbortController().signal;
    assert.equal((await network.settled(alice.register(forever))).type, "registered");
    const bob = parseNameAddr(BOB);
    await network.settled(alice.request("MESSAGE", bob, textBody("hi"), forever));
    await network.settled(alice.request("OPTIONS", bob, null, forever));
    const steps = collect(alice.invite(bob, sdp("o"), forever));
    await network.until("the refusal", () => steps.length > 0);
    const way = await alice.route(bob.uri);
    assert.ok("targets" in way && way.targets[0].endpoint.hostname === row.others[0]);
    assert.equal(way.targets[0].transport, row.others[3].toLowerCase());
    for (const method of ["MESSAGE", "INVITE"]) {
      assert.deepEqual(log.find((one) => one.method === method)?.seen, row.others, method);
    }
    assert.deepEqual(log.filter((one) => one.method === "OPTIONS").map((one) => one.seen), [row.others]);
    await network.until("a keep-alive", () => log.filter((one) => one.method === "OPTIONS").length > 1);
    assert.deepEqual(log.at(-1)?.seen, row.register, "a keep-alive goes where the registration went");
    await network.close(endpoint);
    const registers = log.filter((one) => one.method === "REGISTER").map((one) => one.seen);
    assert.deepEqual(registers, [row.register, row.register]);
  });
}

Deno.test("a user's way: nobody else's requests take it", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  endpoint.createUserAgent({
    ...identity("sip:alice@pbx.example"),
    proxy: parseSipUri("sip:10.0.0.6;transport=tcp"),
  });
  const other = endpoint.createUserAgent(identity("sip:alice@pbx.example"));
  const way = await other.route(parseSipUri(BOB));
  assert.deepEqual("targets" in way && way.targets[0], {
    transport: "udp",
    endpoint: { hostname: "10.0.0.7", port: 5060 },
  });
  await network.close(endpoint);
});
