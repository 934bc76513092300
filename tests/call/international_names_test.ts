// Display names and users of any letters survive both ways (issue "Addresses, NAT, numbers"): as a phone writes its From,
// the client is told; what the client was told, it can dial; what the client is called, the phone is shown.

import assert from "node:assert/strict";
import { parseAppPath } from "../../lib/gateway/urls.ts";
import { identityOf } from "../../lib/gateway/commands.ts";
import { identityAddress } from "../../lib/sip/ua/identity.ts";
import { formatNameAddr } from "../../lib/sip/message/name_addr.ts";
import { formatSipUri } from "../../lib/sip/message/uri.ts";
import { GatewayPhone, PHONE_HOST, PHONE_URI } from "../support/gateway_phone.ts";
import { sdp, SipNetwork } from "../support/sip_network.ts";

const BOB = "10.0.0.2";

/** From as it is on the wire, and the first argument of `invited`, which is dialled back. */
const FROM: [what: string, from: string, told: string][] = [
  [
    "characters next to the alphabet",
    '"Zoë Müller" <sip:zoe@10.0.0.2>',
    '"Zoë Müller" <sip:zoe@10.0.0.2>',
  ],
  ["Cyrillic, without quotes", "Иван <sip:ivan@10.0.0.2>", '"Иван" <sip:ivan@10.0.0.2>'],
  ["Japanese", '"山田 太郎" <sip:yamada@10.0.0.2>', '"山田 太郎" <sip:yamada@10.0.0.2>'],
  ["right to left", '"שלום" <sip:shalom@10.0.0.2>', '"שלום" <sip:shalom@10.0.0.2>'],
  ["outside the basic plane, joined", '"👩‍💻 dev" <sip:dev@10.0.0.2>', '"👩‍💻 dev" <sip:dev@10.0.0.2>'],
  ["a combining mark stays apart", '"e\u0301" <sip:e@10.0.0.2>', '"e\u0301" <sip:e@10.0.0.2>'],
  [
    "quotes and backslashes",
    '"say \\"hi\\" \\\\ now" <sip:bob@10.0.0.2>',
    '"say \\"hi\\" \\\\ now" <sip:bob@10.0.0.2>',
  ],
  ["what looks like structure", '"a;b=c, <d>" <sip:bob@10.0.0.2>', '"a;b=c, <d>" <sip:bob@10.0.0.2>'],
  ["two words without quotes", "Bob Builder <sip:bob@10.0.0.2>", '"Bob Builder" <sip:bob@10.0.0.2>'],
  ["an empty name", '"" <sip:bob@10.0.0.2>', "<sip:bob@10.0.0.2>"],
  ["no brackets", "sip:bob@10.0.0.2", "<sip:bob@10.0.0.2>"],
  ["an escaped user", "<sip:j%c3%bcrgen@10.0.0.2>", "<sip:j%C3%BCrgen@10.0.0.2>"],
  ["an escaped @ and blank", "<sip:a%40b%20c@10.0.0.2>", "<sip:a%40b%20c@10.0.0.2>"],
  ["escapes that were not needed", "<sip:%62o%62@10.0.0.2>", "<sip:bob@10.0.0.2>"],
  ["escaped bytes that are no UTF-8", "<sip:%E9t%E9@10.0.0.2>", "<sip:%E9t%E9@10.0.0.2>"],
  ["a number with a plus", '"+49 30" <sip:+4930@10.0.0.2>', '"+49 30" <sip:+4930@10.0.0.2>'],
];

for (const [what, from, told] of FROM) {
  Deno.test(`names from a phone to the client and back: ${what}`, async () => {
    const network = new SipNetwork();
    const bob = network.peer(BOB);
    const alice = new GatewayPhone(network);
    const invite = bob.build("INVITE", PHONE_URI, { From: `${from};tag=b1` }, sdp("bob"));
    bob.send(invite, PHONE_HOST);
    await bob.response(180);
    assert.deepEqual(alice.link.take(), [`invited(${JSON.stringify(told)}, "<${PHONE_URI}>")`]);
    alice.rpc("reject");
    await bob.response(603);
    alice.rpc("invite", told);
    const back = await bob.request("INVITE");
    assert.equal(back.headers.get("To"), told);
    assert.ok(told.endsWith(`<${formatSipUri(back.uri)}>`), formatSipUri(back.uri));
    bob.answer(back, 404);
    await alice.told(1);
    await alice.leave();
  });
}

/** The RTMP path, the connect argument displayName, and the From the phone gets. */
const CLIENTS: [what: string, path: string, displayName: string, from: string][] = [
  ["plain", "sip/alice@example.com", "Alice", '"Alice" <sip:alice@example.com>'],
  ["no name", "sip/alice@example.com", "", "<sip:alice@example.com>"],
  ["Greek", "sip/alice@example.com", "Ἀλίκη", '"Ἀλίκη" <sip:alice@example.com>'],
  ["emoji", "sip/alice@example.com", "🎧", '"🎧" <sip:alice@example.com>'],
  [
    "quotes and backslash",
    "sip/alice@example.com",
    'A "B" \\ C',
    '"A \\"B\\" \\\\ C" <sip:alice@example.com>',
  ],
  ["line ends cannot add headers", "sip/alice@example.com", "A\r\nX: y", '"A X: y" <sip:alice@example.com>'],
  ["angle brackets", "sip/alice@example.com", "<sip:evil@x>", '"<sip:evil@x>" <sip:alice@example.com>'],
  ["an escaped path", "sip/j%C3%BCrgen@example.com", "Jürgen", '"Jürgen" <sip:j%C3%BCrgen@example.com>'],
  ["the same, not escaped", "sip/jürgen@example.com", "Jürgen", '"Jürgen" <sip:j%C3%BCrgen@example.com>'],
  ["a number", "sip/+4930@example.com", "Desk", '"Desk" <sip:+4930@example.com>'],
  ["a star code as user", "sip/*21@example.com", "", "<sip:*21@example.com>"],
];

for (const [what, app, displayName, from] of CLIENTS) {
  Deno.test(`names from a client to the phone: ${what}`, () => {
    const path = parseAppPath(app);
    assert.ok(path.type === "sip", JSON.stringify(path));
    const identity = identityOf(path.address, ["", "secret", displayName, null]);
    assert.ok(identity.type === "accepted", JSON.stringify(identity));
    assert.equal(formatNameAddr(identityAddress(identity.identity)), from);
  });
}
