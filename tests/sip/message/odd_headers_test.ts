// Headers that are malformed and not needed, and needed ones that are odd and have one meaning, in whole calls over
// real sockets (RFC 3261 8.2): INVITE rings, a re-INVITE is answered, CANCEL cancels, BYE ends, a 200 is acknowledged.

import assert from "node:assert/strict";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { type Edit, headerOf, RawSipPeer } from "../../support/raw_sip_peer.ts";
import { RecordLog } from "../../support/record_log.ts";
import { answerCalls, openLoopback } from "../../support/sip_loopback.ts";
import { identity, sdp } from "../../support/sip_network.ts";

/** Users who never answer: of one, only so many calls may fail at once. */
const RINGING_USERS = 32;
const OFFER = "v=0\r\ns=offer\r\n";

/** Adds lines in front of the last header. */
const added = (lines: string): Edit => (text) =>
  text.replace(/\r\nContent-Length:/, `\r\n${lines}\r\nContent-Length:`);

/** Rewrites one header of what has it; `$1` is its value. */
const rewritten = (name: string, value: string): Edit => (text) =>
  text.replace(new RegExp(`^${name}: (.*)\r$`, "m"), `${value}\r`);

const both = (...edits: Edit[]): Edit => (text) => edits.reduce((all, edit) => edit(all), text);

const UNNEEDED: string[] = [
  'Remote-Party-ID: "Sami\\" <sip:+1555@h>;party=calling',
  'P-Asserted-Identity: "Sami\\" <sip:+1555@h>',
  'P-Preferred-Identity: "open',
  'Diversion: "Reception <sip:+1555@h>;reason=unconditional',
  'History-Info: <sip:a@h?Reason="x>;index=1, <',
  'Alert-Info: "internal',
  "Alert-Info: <http://h/ring.wav",
  'Call-Info: <>;purpose="icon, ;;',
  'Error-Info: ", "',
  'Reason: Q.850;cause=16;text="Normal call clearing',
  "Reason: ;;;cause",
  'Warning: 399 h "it is odd',
  "Warning: x",
  'Geolocation: <cid:"',
  'X-Trunk: "carrier, <one',
  "X-Trunk-Name carrier one",
  "X Trunk: carrier one",
  "X-Trunk[1]: carrier one",
  ": no name",
  "\u00fcmlaut: x",
  '"quoted": x',
  "Max-Forwards: 300",
  "Max-Forwards: many",
  "Expires: 3600.5",
  "Expires: 3600 seconds",
  "Expires: soon",
  "Session-Expires: 1800;",
  "Session-Expires: soon;refresher=uac",
  'Session-Expires: 1800;refresher="uac',
  "Min-SE: -1",
  "Min-SE: 90;;",
  "Allow: INVITE, , ACK,,BYE,",
  "Allow:",
  "Supported: ,",
  "Supported: timer,, 100rel;x",
  "Accept: /",
  "Accept: application/sdp;, , */*",
  "Accept-Language: ;q=,",
  "RSeq: -1",
  "RSeq: 1.5",
  "RAck: \u2028 1",
  "Refer-To: <",
  'Referred-By: "',
  "Replaces: ;;",
  "Date: yesterday",
  "Timestamp: x y z",
  "Subject: \u2028\u2029\r",
  "User-Agent: (((",
  "Server: )",
  "Route: proxy",
  "Record-Route: <sip:",
  "Path: <",
  'Service-Route: "',
  'Authorization: Digest realm="x',
  "Authorization: =",
  "WWW-Authenticate: Digest =",
  'Identity: "',
  "MIME-Version: x",
  "Content-Language: ,;",
  "Content-Disposition: ;;handling",
  'P-Access-Network-Info: 3GPP;utran-cell-id="',
  "Privacy: ;;",
  'Organization: "open',
  "In-Reply-To: ,,",
  "Event: ;id=",
  "Retry-After: (",
];

const ODD: [name: string, edit: Edit][] = [
  ...UNNEEDED.map((line): [string, Edit] => [line, added(line)]),
  ["nothing", (text) => text],
  [
    "Contact with brackets in a quoted parameter",
    rewritten("Contact", 'Contact: $1;+sip.instance="<urn:x>"'),
  ],
  [
    "Contact without brackets, with an instance",
    (text) => text.replace(/^Contact: <([^>]*)>/m, 'Contact: $1;+sip.instance="<urn:uuid:1>";audio'),
  ],
  ["Contact with a comma in quotes", rewritten("Contact", 'Contact: "Bell, Alexander" $1')],
  ["Contact with a comma without quotes", rewritten("Contact", "Contact: Bell, Alexander $1")],
  ["Contact with brackets in the name", rewritten("Contact", "Contact: Bell [home] (2) $1")],
  ["Contact with an open quote", rewritten("Contact", 'Contact: "Bell $1')],
  ["Contact with empty parameters", rewritten("Contact", "Contact: $1; ;;expires=60;")],
  ["Contact list with empty elements", rewritten("Contact", "Contact: , $1 ,,")],
  ["Contact with a quoted URI parameter", (text) => text.replace(/^(Contact: <[^>]*)>/m, '$1;x="a>b">')],
  ["Contact with empty URI parameters", (text) => text.replace(/^(Contact: <[^>]*)>/m, "$1;;ob;>")],
  ["Contact without a user", (text) => text.replace(/^Contact: <sip:phone@/m, "Contact: <sip:@")],
  ["Contact in short, with a tab", (text) => text.replace(/^Contact: /m, "m\t:\t")],
  ["From with an open quote", (text) => text.replace(/^From: /m, 'From: "Sami\\" ')],
  ["From with a comma", (text) => text.replace(/^From: (?=<sip:phone)/m, "From: Bell, Alexander ")],
  ["From with blanks around =", (text) => text.replace(/^(From: <[^>]*>);tag=/m, "$1 ; tag = ")],
  ["From and To with empty parameters", (text) => text.replace(/^((?:From|To): .*)\r$/gm, "$1;; ;\r")],
  ["From of another scheme", (text) => text.replace(/^From: <sip:phone@[^>]*>/m, "From: <http://h/phone>")],
  ["From folded", (text) => text.replace(/^From: (\S+);/m, "From:\r\n\t$1\r\n ;")],
  ["Via with empty parameters", (text) => text.replace(/^(Via: .*)\r$/m, "$1;;\r")],
  [
    "Via with tabs and blanks",
    (text) => text.replace(/^Via: SIP\/2.0\/UDP ([^;]*);/m, "v\t: SIP / 2.0 / UDP\t$1 ; "),
  ],
  [
    "Route and Record-Route without brackets",
    (text) => text.replace(/\r\nContent-L/, "\r\nRoute: sip:h;lr\r\nContent-L"),
  ],
  ["CSeq with blanks and tabs", (text) => text.replace(/^CSeq: (\d+) (\w+)\r$/m, "CSeq:\t $1 \t  $2 \t\r")],
  ["CSeq, Call-ID and From twice", (text) => text.replace(/^((?:CSeq|Call-ID|From): .*\r\n)/gm, "$1$1")],
  ["Content-Type with ;", rewritten("Content-Type", "Content-Type: $1;")],
  [
    "Content-Type in capitals, with parameters",
    rewritten("Content-Type", "c : APPLICATION / SDP ; ; charset="),
  ],
  ["Content-Type that is none", rewritten("Content-Type", "Content-Type: sdp")],
  ["Content-Length with blanks", rewritten("Content-Length", "Content-Length: \t $1 ")],
  ["Content-Length with +", rewritten("Content-Length", "l: +$1")],
  ["no Contact", (text) => text.replace(/^Contact: .*\r\n/m, "")],
  ["no Max-Forwards", (text) => text.replace(/^Max-Forwards: .*\r\n/m, "")],
  [
    "everything at once",
    both(
      ...UNNEEDED.filter((line) => !line.startsWith("Record-Route")).map(added),
      (text) => text.replace(/^((?:From|To|Via|Contact): .*)\r$/gm, "$1;;\r"),
    ),
  ],
];

function scene() {
  const log = new RecordLog("info");
  const endpoint = openLoopback(log);
  const happened: string[] = [];
  const agent = (user: string) =>
    endpoint.createUserAgent(identity(`sip:${user}@127.0.0.1:${endpoint.port}`));
  const bob = agent("bob");
  const answering = answerCalls(bob, happened);
  const ringing = Array.from({ length: RINGING_USERS }, async (_, n) => {
    for await (const invitation of agent(`carol${n}`).invitations()) invitation.ring();
  });
  return {
    log,
    happened,
    endpoint,
    bob,
    async [Symbol.asyncDispose](): Promise<void> {
      await endpoint[Symbol.asyncDispose]();
      await Promise.all([answering, ...ringing]);
    },
  };
}

async function incomingCall(peer: RawSipPeer, id: string, edit: Edit): Promise<void> {
  peer.request("INVITE", "bob", { id, cseq: 1, body: OFFER }, edit);
  await peer.next(/^SIP\/2\.0 180 /);
  const to = headerOf(await peer.next(/^SIP\/2\.0 200 [^]*\r\nCSeq:\s+1\s+INVITE\s*\r\n/), "To");
  peer.request("ACK", "bob", { id, cseq: 1, to }, edit);
  peer.request("INVITE", "bob", { id, cseq: 2, to, body: OFFER }, edit);
  await peer.next(/^SIP\/2\.0 200 [^]*\r\nCSeq:\s+2\s+INVITE\s*\r\n/);
  peer.request("ACK", "bob", { id, cseq: 2, to }, edit);
  peer.request("BYE", "bob", { id, cseq: 3, to }, edit);
  await peer.next(/^SIP\/2\.0 200 [^]*\r\nCSeq:\s+3\s+BYE\s*\r\n/);
}

async function cancelledCall(peer: RawSipPeer, index: number, edit: Edit): Promise<void> {
  const [id, user] = [`c${index}x`, `carol${index % RINGING_USERS}`];
  peer.request("INVITE", user, { id, cseq: 1, body: OFFER }, edit);
  await peer.next(/^SIP\/2\.0 180 /);
  peer.request("CANCEL", user, { id, cseq: 1 }, edit);
  const to = headerOf(await peer.next(/^SIP\/2\.0 487 /), "To");
  peer.request("ACK", user, { id, cseq: 1, to }, (text) => edit(text).replace("1ack", "1INVITE"));
}

Deno.test("odd headers: a call comes in, is renewed and ends; another is cancelled", async (test) => {
  await using room = scene();
  await using peer = new RawSipPeer(room.endpoint.port);
  for (const [index, [name, edit]] of ODD.entries()) {
    await test.step(JSON.stringify(name), async () => {
      peer.edited = 0;
      await incomingCall(peer, `in${index}x`, edit);
      assert.equal(peer.edited > 0, name !== "nothing");
      await cancelledCall(peer, index, edit);
      assert.deepEqual(room.log.at("error"), []);
      const events = room.happened.splice(0);
      assert.deepEqual([events[0], events.at(-1)], ["confirmed", "ended by remote"]);
    });
  }
});

Deno.test("odd headers: a 200 to our INVITE is acknowledged, and the BYE of the peer ends the call", async (test) => {
  await using room = scene();
  await using peer = new RawSipPeer(room.endpoint.port);
  const to = parseNameAddr(`<sip:phone@127.0.0.1:${peer.port}>`);
  for (const [index, [name, edit]] of ODD.entries()) {
    if (name.startsWith("Record-Route")) continue; // no hop that can be read: see answer_fault_test.ts
    await test.step(JSON.stringify(name), async () => {
      const steps = room.bob.invite(to, sdp("offer"), new AbortController().signal);
      const accepted = (async () => {
        for await (const step of steps) if (step.type === "accepted") return step.call;
        return null;
      })();
      const invite = await peer.next(/^INVITE /);
      peer.respond(invite, 180, `t${index}`, "", edit);
      peer.respond(invite, 200, `t${index}`, OFFER, edit);
      await peer.next(/^ACK /);
      const call = await accepted ?? assert.fail("no call");
      peer.request(
        "BYE",
        "bob",
        { id: headerOf(invite, "Call-ID"), cseq: 1, to: headerOf(invite, "From") },
        (text) => edit(text.replace(/^From: .*;tag=.*\r$/m, `From: <sip:phone@127.0.0.1>;tag=t${index}\r`)),
      );
      await peer.next(/^SIP\/2\.0 200 [^]*BYE/);
      for await (const event of call.events()) if (event.type === "ended") assert.equal(event.by, "remote");
      assert.deepEqual(room.log.at("error"), []);
    });
  }
});
