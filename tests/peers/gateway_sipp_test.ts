// The gateway against SIPp, as caller and callee, over real sockets: media counted, not only status codes.

import assert from "node:assert/strict";
import { hasPeer } from "../support/peers.ts";
import { RtmpPhone, speak } from "../support/rtmp_phone.ts";
import { startSipp } from "../support/sipp.ts";
import { startGateway } from "../support/test_gateway.ts";

const ignore = !hasPeer("sipp");

/** Payload octets are what counts: the echo must return every block byte for byte, in order. */
const hex = (bodies: readonly Uint8Array[]) => bodies.map((body) => [...body.subarray(0, 4)].join("."));

Deno.test(
  { name: "SIPp answers and echoes: every PCMU block comes back byte for byte", ignore },
  async () => {
    await using sipp = await startSipp({ scenario: "callee_echo", args: ["-rtp_echo"] });
    await using running = await startGateway();
    await using phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
    phone.client.send("invite", `sip:echo@127.0.0.1:${sipp.port}`, "pcmu", "dtmf");
    assert.deepEqual(await phone.expect("ringing"), ["180 Ringing"]);
    assert.deepEqual(await phone.expect("accepted"), ["pcmu", null]);
    const sent = await speak(phone.speaking, { tag: 0x82, count: 150, size: 160 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(hex(phone.audio), hex(sent), running.lines());
    phone.client.send("bye");
    const { ok, report } = await sipp.finished();
    assert.ok(ok, report);
  },
);

const REFUSALS: { scenario: string; reason: string }[] = [
  { scenario: "callee_busy", reason: "486 Busy Here" },
  { scenario: "callee_moved", reason: "302 Moved Temporarily" },
];

for (const { scenario, reason } of REFUSALS) {
  Deno.test({ name: `SIPp refuses with ${reason}: the client hears exactly that`, ignore }, async () => {
    await using sipp = await startSipp({ scenario });
    await using running = await startGateway({ redirect: "false" }); // else the call would go where a 302 says
    await using phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
    phone.client.send("invite", `sip:x@127.0.0.1:${sipp.port}`, "pcmu");
    assert.deepEqual(await phone.expect("rejected"), [reason]);
    const { ok, report } = await sipp.finished();
    assert.ok(ok, report);
    assert.equal(running.gateway.usage.rtpPorts, 0);
  });
}

Deno.test(
  { name: "SIPp hears seven INVITEs and answers none: 408 after 32 s, and nothing is left", ignore },
  async () => {
    await using sipp = await startSipp({ scenario: "callee_silent" });
    await using running = await startGateway();
    await using phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
    phone.client.send("invite", `sip:x@127.0.0.1:${sipp.port}`, "pcmu");
    await new Promise((resolve) => setTimeout(resolve, 20_000)); // longer than expect() is patient
    assert.equal(phone.callbacks.size, 0);
    assert.deepEqual(await phone.expect("rejected"), ["408 Request timeout"]);
    assert.equal(running.gateway.usage.rtpPorts, 0);
    const { ok, report } = await sipp.finished();
    assert.ok(ok, report);
    assert.equal(running.lines().match(/sent to udp [^\n]*\n *INVITE /g)?.length, 7);
  },
);

Deno.test(
  { name: "bye while it rings cancels the call at SIPp, and the call leg is free again", ignore },
  async () => {
    await using sipp = await startSipp({ scenario: "callee_rings" });
    await using running = await startGateway();
    await using phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
    phone.client.send("invite", `sip:x@127.0.0.1:${sipp.port}`, "pcmu");
    await phone.expect("ringing");
    phone.client.send("bye");
    const { ok, report } = await sipp.finished();
    assert.ok(ok, report);
    await using echo = await startSipp({ scenario: "callee_echo" });
    phone.client.send("invite", `sip:x@127.0.0.1:${echo.port}`, "pcmu");
    await phone.expect("accepted");
    phone.client.send("bye");
    assert.ok((await echo.finished()).ok);
  },
);

/** Stands before a port and loses the first packets of each direction. */
function lossyRelay(
  to: number,
  lose: { there: number; back: number },
): Disposable & { readonly port: number } {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const left = { ...lose };
  let caller: Deno.Addr | null = null;
  void (async () => {
    for await (const [bytes, from] of socket) {
      const back = (from as Deno.NetAddr).port === to;
      if (!back) caller = from;
      if (left[back ? "back" : "there"]-- > 0) continue;
      const target = back ? caller : { transport: "udp", hostname: "127.0.0.1", port: to } as const;
      if (target !== null) await socket.send(bytes, target);
    }
  })();
  return { port: (socket.addr as Deno.NetAddr).port, [Symbol.dispose]: () => socket.close() };
}

Deno.test(
  {
    name: "a link that loses the first INVITEs, ringing and answers: retransmission carries the call",
    ignore,
  },
  async () => {
    await using sipp = await startSipp({ scenario: "callee_echo", args: ["-rtp_echo"] });
    using relay = lossyRelay(sipp.port, { there: 2, back: 3 });
    await using running = await startGateway();
    await using phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
    phone.client.send("invite", `sip:x@127.0.0.1:${relay.port}`, "pcmu");
    await phone.expect("accepted");
    const sent = await speak(phone.speaking, { tag: 0x82, count: 25, size: 160 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.deepEqual(hex(phone.audio), hex(sent), running.lines());
    phone.client.send("bye");
    const { ok, report } = await sipp.finished();
    assert.ok(ok, report);
  },
);

Deno.test(
  { name: "SIPp calls a user of the gateway: 180, 200, ACK, BYE; the client is told each", ignore },
  async () => {
    await using running = await startGateway();
    await using phone = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1"), answers: ["pcmu"] });
    const target = `127.0.0.1:${running.gateway.sipPort}`;
    await using sipp = await startSipp({ scenario: "caller", target, service: "bob", args: ["-rtp_echo"] });
    const [from, to] = await phone.expect("invited");
    assert.match(String(from), /^"SIPp" <sip:sipp@127\.0\.0\.1:\d+>$/);
    assert.match(String(to), /^<sip:bob@127\.0\.0\.1:\d+>$/);
    assert.deepEqual(await phone.expect("accepted"), ["pcmu", null]);
    const sent = await speak(phone.speaking, { tag: 0x82, count: 50, size: 160 });
    await phone.expect("byed");
    assert.deepEqual(hex(phone.audio), hex(sent), running.lines());
    const { ok, report } = await sipp.finished();
    assert.ok(ok, report);
  },
);

Deno.test(
  { name: "a caller with no usable codec gets 488 with a Warning and nobody is alerted", ignore },
  async () => {
    await using running = await startGateway();
    await using phone = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1"), answers: ["pcmu"] });
    const target = `127.0.0.1:${running.gateway.sipPort}`;
    await using sipp = await startSipp({ scenario: "caller_g729", target, service: "bob" });
    const { ok, report } = await sipp.finished();
    assert.ok(ok, report);
    assert.equal(phone.callbacks.size, 0);
  },
);

Deno.test({ name: "a caller that gives up: invited, then cancelled; SIPp gets 487", ignore }, async () => {
  await using running = await startGateway();
  await using phone = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1") });
  const target = `127.0.0.1:${running.gateway.sipPort}`;
  await using sipp = await startSipp({ scenario: "caller_cancels", target, service: "bob" });
  const invited = await phone.expect("invited");
  assert.deepEqual(await phone.expect("cancelled"), invited);
  const { ok, report } = await sipp.finished();
  assert.ok(ok, report);
});

Deno.test({ name: "a second caller hears 486 while the first call is up", ignore }, async () => {
  await using running = await startGateway();
  await using phone = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1"), answers: ["pcmu"] });
  const target = `127.0.0.1:${running.gateway.sipPort}`;
  await using first = await startSipp({ scenario: "caller", target, service: "bob" });
  await phone.expect("accepted");
  await using second = await startSipp({ scenario: "caller_busy", target, service: "bob" });
  const busy = await second.finished();
  assert.ok(busy.ok, busy.report);
  assert.ok((await first.finished()).ok);
  await phone.expect("byed");
});

Deno.test(
  { name: "the SIP peer is killed in a call: the client hangs up and nothing is left", ignore },
  async () => {
    await using running = await startGateway();
    await using phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
    await using other = await RtmpPhone.connect({ url: running.url("other@127.0.0.1") });
    await using steady = await startSipp({ scenario: "callee_echo", args: ["-rtp_echo"] });
    other.client.send("invite", `sip:x@127.0.0.1:${steady.port}`, "pcmu");
    await other.expect("accepted");
    {
      await using sipp = await startSipp({ scenario: "callee_echo", args: ["-rtp_echo"] });
      phone.client.send("invite", `sip:x@127.0.0.1:${sipp.port}`, "pcmu");
      await phone.expect("accepted");
    } // disposing kills it with SIGKILL
    const sent = await speak(other.speaking, { tag: 0x82, count: 100, size: 160 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.deepEqual(hex(other.audio), hex(sent), "the other call lost nothing");
    await phone[Symbol.asyncDispose]();
    other.client.send("bye");
    assert.ok((await steady.finished()).ok);
    await other[Symbol.asyncDispose]();
    for (let tries = 0; tries < 200 && running.gateway.usage.connections > 0; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50)); // the BYE to the dead one is waited for
    }
    const { usage } = running.gateway;
    assert.deepEqual({ ...usage }, { connections: 0, clients: 0, calls: 0, rtpPorts: 0 });
  },
);
