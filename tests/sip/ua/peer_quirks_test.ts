// Peers' quirks, each in two whole calls over real sockets: what a peer writes oddly must not harm its call, nor the
// next one. Every row is named after the peer that is known for it. RTP's quirk is in tests/rtp/peer_quirks_test.ts;
// the parser's own tables are in parser_test.ts.

import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { Mailbox } from "../../../lib/base/mailbox.ts";
import { UdpSocket } from "../../../lib/net/udp.ts";
import type { SipEndpoint } from "../../../lib/sip/ua/endpoint.ts";
import type { Invitation } from "../../../lib/sip/ua/invitation.ts";
import { RecordLog } from "../../support/record_log.ts";
import { openLoopback } from "../../support/sip_loopback.ts";
import { identity, sdp, sdpText } from "../../support/sip_network.ts";

type Kind = "INVITE" | "ACK" | "BYE";

/** Changes what the peer sends; lines are separated by CRLF. */
type Oddity = (text: string, kind: Kind) => string;

const OFFER = "v=0\r\ns=offer\r\n";

const lengthened = (by: number): Oddity => (text) =>
  text.replace(
    /Content-Length: (\d+)/,
    (_, length: string) => `Content-Length: ${Math.max(0, Number(length) + by)}`,
  );

const COMPACT: readonly (readonly [string, string])[] = [
  ["Via", "v"],
  ["From", "f"],
  ["To", "t"],
  ["Call-ID", "i"],
  ["Contact", "m"],
  ["Content-Type", "c"],
  ["Content-Length", "l"],
];

const QUIRKS: [peer: string, quirk: string, oddity: Oddity, warned: RegExp | null][] = [
  ["any phone", "nothing odd, so that the rest shows something", (text) => text, null],
  [
    "Asterisk 1.6",
    "Content-Length longer than the datagram",
    lengthened(+40),
    /Content-Length is \d+ but the body has/,
  ],
  [
    "Asterisk 1.6",
    "Content-Length shorter than the datagram",
    (text, kind) => kind === "INVITE" ? `${text}\r\n\r\n` : text,
    /Content-Length is \d+ but the body has/,
  ],
  [
    "Asterisk 1.4",
    "the ACK of a 200 has the branch of the INVITE",
    (text, kind) => kind === "ACK" ? text.replace(/branch=z9hG4bK(\w+)ack/, "branch=z9hG4bK$1invite") : text,
    null,
  ],
  [
    "Cisco 7960",
    "no rport, and a Via with an address behind its NAT",
    (text) => text.replace(/^Via: SIP\/2\.0\/UDP [^;]+;rport/m, "Via: SIP/2.0/UDP 192.168.7.60:5060"),
    null,
  ],
  [
    "SIPp",
    "Contact, From and To without brackets",
    (text) => text.replace(/^(Contact|From|To): <([^>]*)>/gm, "$1: $2"),
    null,
  ],
  [
    "snom with short names on",
    "compact headers",
    (text) => COMPACT.reduce((all, [long, short]) => all.replace(`\r\n${long}: `, `\r\n${short}:`), text),
    null,
  ],
  [
    "a program with a line length",
    "folded headers",
    (text) => text.replace(/^(Via|From|To|Contact): (\S+)([; ])/gm, "$1:\r\n $2\r\n\t$3"),
    null,
  ],
  [
    "a Unix script",
    "bare LF at the ends of the head's lines",
    (text) => text.replace(/^[^]*?\r\n\r\n/, (head) => head.replaceAll("\r\n", "\n")),
    null,
  ],
];

/** A phone that writes its messages by hand. */
class RawPhone implements AsyncDisposable {
  /** Messages that were made odd. */
  changed = 0;
  readonly #socket = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  readonly #inbox = new Mailbox<string>(100);
  readonly #running = this.#socket.run((bytes) => void this.#inbox.push(decodeUtf8(bytes)));
  readonly #gatewayPort: number;
  readonly #oddity: Oddity;

  constructor(gatewayPort: number, oddity: Oddity) {
    this.#gatewayPort = gatewayPort;
    this.#oddity = oddity;
  }

  /** A request of the call `id`; `to` has the tag once it is known. */
  send(kind: Kind, id: string, to: string, body = ""): void {
    const port = this.#socket.local.port;
    const text = [
      `${kind} sip:bob@127.0.0.1:${this.#gatewayPort} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${port};rport;branch=z9hG4bK${id}${kind.toLowerCase()}`,
      "Max-Forwards: 70",
      `From: <sip:phone@127.0.0.1:${port}>;tag=from${id}`,
      `To: ${to}`,
      `Call-ID: ${id}`,
      `CSeq: ${kind === "BYE" ? 2 : 1} ${kind}`,
      `Contact: <sip:phone@127.0.0.1:${port}>`,
      ...(body === "" ? [] : ["Content-Type: application/sdp"]),
      `Content-Length: ${body.length}`,
      "",
      body,
    ].join("\r\n");
    const odd = this.#oddity(text, kind);
    if (odd !== text) this.changed += 1;
    this.#socket.send(encodeUtf8(odd), { hostname: "127.0.0.1", port: this.#gatewayPort });
  }

  /** Waits for a final response; what comes before is skipped. */
  async final(): Promise<string> {
    for (;;) {
      const text = await within(this.#inbox.next()) ?? assert.fail("closed");
      if (/^SIP\/2\.0 [2-6]/.test(text)) return text;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#running;
  }
}

interface Scene extends AsyncDisposable {
  readonly endpoint: SipEndpoint;
  readonly log: RecordLog;
  next(): Promise<Invitation>;
}

function openScene(): Scene {
  const log = new RecordLog("info");
  const endpoint = openLoopback(log);
  const bob = endpoint.createUserAgent(identity(`sip:bob@127.0.0.1:${endpoint.port}`));
  const invitations = bob.invitations();
  return {
    endpoint,
    log,
    next: async () => (await within(invitations.next())).value ?? assert.fail("no call"),
    [Symbol.asyncDispose]: () => endpoint[Symbol.asyncDispose](),
  };
}

/** Fails instead of waiting for ever. */
async function within<T>(promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("it does not come")), 10_000);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** INVITE, 200, ACK, BYE, 200. */
async function wholeCall(scene: Scene, phone: RawPhone, id: string): Promise<void> {
  phone.send("INVITE", id, "<sip:bob@127.0.0.1>", OFFER);
  const invitation = await scene.next();
  assert.equal(sdpText(invitation.offer), "offer");
  assert.equal(invitation.from.uri.user, "phone");
  const accepting = invitation.accept(sdp("answer"));
  const ok = await phone.final();
  assert.match(ok, /^SIP\/2\.0 200 /);
  const to = /^To: (.*;tag=.*)\r$/m.exec(ok)?.[1] ?? assert.fail(ok);
  phone.send("ACK", id, to);
  const outcome = await within(accepting);
  assert.ok(outcome.type === "confirmed", JSON.stringify(outcome));
  phone.send("BYE", id, to);
  assert.match(await phone.final(), /^SIP\/2\.0 200 [^]*\r\nCSeq: 2 BYE\r\n/);
  for await (const event of outcome.call.events()) {
    if (event.type === "ended") assert.equal(event.by, "remote");
  }
}

for (const [peer, quirk, oddity, warned] of QUIRKS) {
  Deno.test(`quirk of ${peer}: ${quirk}`, async () => {
    await using scene = openScene();
    await using phone = new RawPhone(scene.endpoint.port, oddity);
    await wholeCall(scene, phone, "one");
    await wholeCall(scene, phone, "two");
    assert.equal(phone.changed > 0, peer !== "any phone");
    assert.equal(scene.endpoint.dialogCount, 0);
    const warnings = scene.log.at("warn").join("\n");
    if (warned === null) assert.equal(warnings, "");
    else assert.match(warnings, warned);
    assert.deepEqual(scene.log.at("error"), []);
  });
}

Deno.test("quirk of a program that does not know better: lower-case methods are rejected, and the next call works", async () => {
  await using scene = openScene();
  await using phone = new RawPhone(
    scene.endpoint.port,
    (text, kind) => text.replaceAll(kind, kind.toLowerCase()),
  );
  for (const kind of ["INVITE", "BYE"] as const) {
    phone.send(kind, `lower${kind}`, "<sip:bob@127.0.0.1>", kind === "INVITE" ? OFFER : "");
    assert.match(await phone.final(), /^SIP\/2\.0 400 Bad Request/);
  }
  await using other = new RawPhone(scene.endpoint.port, (text) => text);
  await wholeCall(scene, other, "upper");
});
