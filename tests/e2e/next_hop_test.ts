// The next hop of an outgoing call is resolved once: what the description, Contact and Via say, and where INVITE, CANCEL
// and everything else goes, is one choice among servers of equal rank.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { loadCodecs } from "../../lib/codecs/load.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { openSockets } from "../../lib/net/sockets.ts";
import { Gateway } from "../../lib/gateway/gateway.ts";
import type { DnsResolver } from "../../lib/net/dns.ts";
import { testSockets } from "../support/test_gateway.ts";
import { header } from "../support/raw_phone.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { until } from "../support/stream_program.ts";

const CALLS = 12;

/** A SIP server of text over UDP that keeps what it is sent. */
class Server implements Disposable {
  readonly received: string[] = [];
  readonly #socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  #from: Deno.Addr | null = null;

  constructor() {
    void this.#run();
  }

  get port(): number {
    return (this.#socket.addr as Deno.NetAddr).port;
  }

  /** Refuses the INVITE that came last. */
  refuse(invite: string): void {
    const copied = ["Via", "From", "Call-ID", "CSeq"].map((name) => `${name}: ${header(invite, name)}\r\n`);
    const to = `To: ${header(invite, "To")};tag=busy\r\n`;
    const text = `SIP/2.0 486 Busy Here\r\n${copied.join("")}${to}Content-Length: 0\r\n\r\n`;
    void this.#socket.send(new TextEncoder().encode(text), this.#from!);
  }

  async #run(): Promise<void> {
    for await (const [bytes, from] of this.#socket) {
      const text = new TextDecoder().decode(bytes);
      this.#from = from;
      if (!this.received.includes(text)) this.received.push(text); // not what was sent again
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

Deno.test("a call to a domain with weighted servers asks DNS once and stays with the server it has chosen", async () => {
  using one = new Server();
  using two = new Server();
  const asked: string[] = [];
  const dns: DnsResolver = {
    naptr: () => Promise.resolve([]),
    srv(name) {
      asked.push(name);
      const records = [one, two].map(({ port }) => ({
        priority: 1,
        weight: 50,
        port,
        target: `p${port}.example`,
      }));
      return Promise.resolve(name === "_sip._udp.weighted.example" ? records : []);
    },
    a: () => Promise.resolve(["127.0.0.1"]),
    aaaa: () => Promise.resolve([]),
  };
  const flags = { host: "127.0.0.1", port: "0", "int-ip": "0.0.0.0", "sip-port": "0" };
  using sockets = openSockets(testSockets);
  const environment = {
    clock: systemClock,
    log: silentLog,
    random: systemRandom,
    dns,
    sockets,
    codecs: await loadCodecs(),
  };
  await using gateway = await Gateway.start(buildConfig({ flags }), environment);
  const url = `rtmp://127.0.0.1:${gateway.rtmp.port}/sip/alice@127.0.0.1`;
  await using phone = await RtmpPhone.connect({ url });
  const chosen: Server[] = [];
  for (let call = 1; call <= CALLS; call++) {
    asked.length = 0;
    phone.client.send("invite", "sip:bob@weighted.example", "pcmu");
    const invites = (): string[] =>
      [one, two].flatMap(({ received }) => received.filter((text) => text.startsWith("INVITE")));
    await until("an INVITE comes", () => invites().length >= call);
    const peer = [one, two].find((candidate) => candidate.received.at(-1)?.startsWith("INVITE"))!;
    const invite = peer.received.at(-1)!;
    chosen.push(peer);
    assert.equal(invites().length, call);
    assert.deepEqual(asked.toSorted(), ["_sip._tcp.weighted.example", "_sip._udp.weighted.example"]);
    assert.match(invite, /^c=IN IP4 127\.0\.0\.1\r$/m);
    assert.match(header(invite, "Contact"), /@127\.0\.0\.1:/);
    assert.match(header(invite, "Via"), /^SIP\/2\.0\/UDP 127\.0\.0\.1:/);
    peer.refuse(invite);
    await until("the ACK goes where the INVITE went", () => peer.received.at(-1)?.startsWith("ACK") === true);
    await phone.expect("rejected");
  }
  assert.equal(new Set(chosen).size, 2, "both servers of equal rank are used");
});
