// A built-in number called by a peer that does exactly what the test says, in memory.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { TransportError } from "../../../lib/base/errors.ts";
import { decodeRtp } from "../../../lib/rtp/packet.ts";
import { parseSdp } from "../../../lib/sdp/description.ts";
import { mediaFormat } from "../../../lib/sdp/media_format.ts";
import { bodyOf, bodyText, SDP_TYPE, type SipBody, textBody } from "../../../lib/sip/message/body.ts";
import type { SipRequest, SipResponse } from "../../../lib/sip/message/message.ts";
import {
  BuiltInNumber,
  type BuiltInNumberOptions,
  MAX_CALL_MS,
} from "../../../lib/tools/sipd/built_in_number.ts";
import { echoTreatment } from "../../../lib/tools/sipd/echo_number.ts";
import { settle } from "../../support/fake_clock.ts";
import { acknowledge } from "../../support/sip_callee.ts";
import { identity, SipNetwork } from "../../support/sip_network.ts";
import {
  answerOf,
  CALLER_RTP,
  memoryServices,
  offerOf,
  rtpPacket,
  understood,
} from "../../support/sipd_bench.ts";

function scene(options: Partial<BuiltInNumberOptions> = {}) {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.2");
  const agent = endpoint.createUserAgent(identity("sip:echo@10.0.0.2"));
  const services = memoryServices(network.clock);
  const number = new BuiltInNumber({ agent, services, treatment: echoTreatment, ...options });
  const peer = network.peer("10.0.0.9");
  const finish = async () => {
    await network.settled(number[Symbol.asyncDispose]());
    await network.close(endpoint);
    await network.clock.advanceAsync(100);
    assert.equal(endpoint.dialogCount, 0);
    assert.equal(services.rtp.size, 0, "RTP sockets were left behind");
    assert.equal(network.clock.pending, 0, "timers were left behind");
    assert.deepEqual(services.log.at("error"), []);
  };
  /** An INVITE of the peer; each has a Call-ID of its own. */
  let calls = 0;
  const invite = (offer: SipBody | null, headers: Record<string, string> = {}): SipRequest => {
    const request = peer.build("INVITE", "sip:echo@10.0.0.2", {
      "Call-ID": `call${++calls}@10.0.0.9`,
      ...headers,
    }, offer);
    peer.send(request, "10.0.0.2");
    return request;
  };
  const connect = async (offer: SipBody = offerOf()): Promise<[SipRequest, SipResponse]> => {
    const request = invite(offer);
    const answer = await peer.response(200, "INVITE");
    acknowledge(peer, request, answer);
    await network.clock.advanceAsync(20);
    return [request, answer];
  };
  const inDialog = (
    method: string,
    [request, answer]: [SipRequest, SipResponse],
    sequence: number,
    body: SipBody | null = null,
  ): SipRequest => {
    const message = peer.buildAsCaller(method, request, answer, sequence, body);
    peer.send(message, "10.0.0.2");
    return message;
  };
  return { network, services, number, peer, invite, connect, inDialog, finish };
}

Deno.test("a call rings, is answered, returns packets, and ends with the caller's BYE", async () => {
  const { network, number, peer, invite, inDialog, services, finish } = scene();
  const request = invite(offerOf());
  await peer.response(100);
  await peer.response(180);
  const answer = await peer.response(200, "INVITE");
  const { remote } = understood({ type: SDP_TYPE, bytes: answer.body });
  assert.equal(remote?.hostname, "10.0.0.2");
  assert.equal(number.calls, 1);

  const socket = services.rtp.bind(CALLER_RTP);
  const back: number[][] = [];
  const reading = socket.run((bytes) => void back.push([...decodeRtp(bytes).payload]));
  socket.send(rtpPacket(1, [1, 2, 3]), remote);
  await settle();
  assert.deepEqual(back, [[1, 2, 3]], "before the ACK already");
  socket.close();
  await reading;

  acknowledge(peer, request, answer);
  inDialog("BYE", [request, answer], 2);
  await peer.response(200, "BYE");
  await network.until("the call is over", () => number.calls === 0);
  assert.equal(services.rtp.size, 0);
  assert.ok(
    services.log.lines.some((line) =>
      /number echo: call from peer@10\.0\.0\.9 ended after .* 1 received/.test(line)
    ),
  );
  await finish();
});

Deno.test("a call that nobody ends is hung up after an hour", async () => {
  const { network, number, peer, connect, finish } = scene();
  await connect();
  await network.clock.advanceAsync(MAX_CALL_MS - 1000);
  assert.equal(number.calls, 1);
  await network.clock.advanceAsync(2000);
  peer.answer(await peer.request("BYE"), 200);
  await network.until("the call is over", () => number.calls === 0);
  await finish();
});

Deno.test("one caller too many hears 486", async () => {
  const { number, peer, connect, invite, finish } = scene({ maxCalls: 2 });
  await connect();
  await connect();
  const third = invite(offerOf());
  const refusal = await peer.response(486);
  assert.match(refusal.headers.get("Warning") ?? "", /^399 sipd "2 calls/);
  peer.send(
    peer.build("ACK", "sip:echo@10.0.0.2", {
      "Via": third.headers.get("Via") ?? "",
      "To": refusal.headers.get("To") ?? "",
      "Call-ID": third.headers.get("Call-ID") ?? "",
    }),
    "10.0.0.2",
  );
  assert.equal(number.calls, 2);
  await finish();
});

const REFUSED: { name: string; offer: SipBody; status: number; warning: RegExp }[] = [
  {
    name: "no common codec",
    offer: offerOf({ formats: [mediaFormat(18, "G729", 8000)] }),
    status: 488,
    warning: /399 sipd "No common media format: peer has audio G729\/8000/,
  },
  {
    name: "a description that is none",
    offer: { type: SDP_TYPE, bytes: encodeUtf8("rubbish") },
    status: 400,
    warning: /SDP/,
  },
];

for (const { name, offer, status, warning } of REFUSED) {
  Deno.test(`${name} is ${status}, and says why`, async () => {
    const { number, network, peer, invite, finish } = scene();
    invite(offer);
    const refusal = await peer.response(status);
    assert.match(refusal.headers.get("Warning") ?? "", warning);
    await network.until("nothing is left", () => number.calls === 0);
    await finish();
  });
}

Deno.test("without a free port the caller hears 503", async () => {
  const spare = scene();
  const ports = {
    bindPair: () => {
      throw new TransportError("every port is taken", "addr-in-use");
    },
  };
  const full = scene({ services: { ...spare.services, ports } });
  full.invite(offerOf());
  await full.peer.response(503);
  await full.finish();
  await spare.finish();
});

Deno.test("hold and resume are answered; a re-INVITE without offer gets ours", async () => {
  const { network, peer, connect, inDialog, services, finish } = scene();
  const dialog = await connect();
  const socket = services.rtp.bind(CALLER_RTP);
  const back: number[][] = [];
  const reading = socket.run((bytes) => void back.push([...decodeRtp(bytes).payload]));
  const { remote } = understood({ type: SDP_TYPE, bytes: dialog[1].body });
  const send = async (sequence: number, octet: number) => {
    socket.send(rtpPacket(sequence, [octet]), remote!);
    await settle();
  };
  const reinvite = async (
    sequence: number,
    body: SipBody | null,
    answer: (offer: SipBody) => SipBody | null,
  ) => {
    inDialog("INVITE", dialog, sequence, body);
    const response = await peer.response(200, "INVITE");
    inDialog("ACK", dialog, sequence, answer({ type: SDP_TYPE, bytes: response.body }));
    await network.clock.advanceAsync(20);
    return parseSdp(response.body).media[0]!;
  };
  const held = await reinvite(2, offerOf({ direction: "sendonly" }), () => null);
  assert.equal(held.direction, "recvonly");
  await send(1, 99);
  const resumed = await reinvite(3, offerOf(), () => null);
  assert.equal(resumed.direction, null);
  assert.equal(resumed.port, remote?.port);
  await send(2, 1);
  const ours = await reinvite(4, null, (offer) => answerOf(offer));
  assert.equal(ours.port, remote?.port);
  await send(3, 2);
  assert.deepEqual(back, [[1], [2]]);
  socket.close();
  await reading;
  await finish();
});

Deno.test("a change nobody can play is refused and changes nothing", async () => {
  const { number, peer, connect, inDialog, finish } = scene();
  const dialog = await connect();
  inDialog("INVITE", dialog, 2, offerOf({ formats: [mediaFormat(18, "G729", 8000)] }));
  await peer.response(488, "INVITE");
  assert.equal(number.calls, 1);
  await finish();
});

Deno.test("a caller without offer gets one; one that answers with nonsense is hung up on", async () => {
  const { network, number, peer, invite, finish } = scene();
  const good = invite(null);
  const offered = await peer.response(200, "INVITE");
  acknowledge(peer, good, offered, answerOf({ type: SDP_TYPE, bytes: offered.body }));
  await network.clock.advanceAsync(50);
  assert.equal(number.calls, 1);
  const bad = invite(null);
  const again = await peer.response(200, "INVITE");
  acknowledge(peer, bad, again, { type: SDP_TYPE, bytes: encodeUtf8("v=0\r\nm=audio 0 RTP/AVP 0\r\n") });
  peer.answer(await peer.request("BYE"), 200);
  await network.until("the bad call is over", () => number.calls === 1);
  await finish();
});

Deno.test("a caller who gives up at once leaves nothing", async () => {
  const { network, number, peer, invite, finish } = scene();
  const request = invite(offerOf());
  // Sent before the 200 could arrive: whichever comes first, the call must go away.
  peer.send(
    peer.build("CANCEL", "sip:echo@10.0.0.2", {
      "Via": request.headers.get("Via") ?? "",
      "Call-ID": request.headers.get("Call-ID") ?? "",
      "CSeq": "1 CANCEL",
    }),
    "10.0.0.2",
  );
  await peer.response(200, "CANCEL");
  const answer = await peer.response(200, "INVITE");
  acknowledge(peer, request, answer);
  peer.send(peer.buildAsCaller("BYE", request, answer, 2), "10.0.0.2");
  await network.until("the call is over", () => number.calls === 0);
  await finish();
});

Deno.test("a caller who never acknowledges is given up", async () => {
  const { network, number, peer, invite, finish } = scene();
  invite(offerOf());
  await peer.response(200, "INVITE");
  peer.onMessage = (message) => {
    if (message.kind === "request" && message.method === "BYE") peer.answer(message, 200);
    return true;
  };
  await network.until("the call is given up", () => number.calls === 0, 60_000);
  await finish();
});

/** How calls of a number end, and what the registry is told. */
const ENDS: { name: string; run: (by: ReturnType<typeof scene>) => Promise<void>; changes: string[] }[] = [
  {
    name: "by the caller",
    run: async ({ connect, inDialog, peer }) => {
      inDialog("BYE", await connect(), 2);
      await peer.response(200, "BYE");
    },
    changes: ["trying", "ringing", "in-progress", "completed, remote: hung up"],
  },
  {
    name: "through the registry",
    run: async ({ connect, peer, services }) => {
      await connect();
      assert.ok(services.calls.hangUp(services.calls.list()[0]!.id));
      peer.answer(await peer.request("BYE"), 200);
    },
    changes: ["trying", "ringing", "in-progress", "completed, local: hung up"],
  },
  {
    name: "through the registry, before the ACK",
    run: async ({ invite, peer, services }) => {
      const request = invite(offerOf());
      const answer = await peer.response(200, "INVITE");
      assert.ok(services.calls.hangUp(services.calls.list()[0]!.id));
      acknowledge(peer, request, answer);
      peer.answer(await peer.request("BYE"), 200);
    },
    changes: ["trying", "ringing", "in-progress", "completed, local: hung up"],
  },
  {
    name: "without a common codec",
    run: async ({ invite, peer }) => {
      invite(offerOf({ formats: [mediaFormat(18, "G729", 8000)] }));
      await peer.response(488);
    },
    changes: ["trying", "failed, local: Not Acceptable Here"],
  },
];

for (const { name, run, changes } of ENDS) {
  Deno.test(`a call ends ${name}: what the registry is told`, async () => {
    const by = scene();
    using watch = by.services.calls.watch();
    await run(by);
    await by.network.until("the call is over", () => by.services.calls.size === 0);
    const told: string[] = [];
    for await (const change of watch) {
      assert.ok(change.type !== "overrun");
      const { status, ending, remote, local } = change.call;
      assert.deepEqual([remote.uri, local], ["sip:peer@10.0.0.9", "sip:echo@10.0.0.2"]);
      told.push(ending === null ? status : `${status}, ${ending.by}: ${ending.reason}`);
      if (change.type === "ended") break;
    }
    assert.deepEqual(told, changes);
    await by.finish();
  });
}

Deno.test("messages are told, outside calls and inside", async () => {
  const told: string[] = [];
  const { peer, connect, inDialog, network, finish } = scene({
    onMessage: ({ from, body }) => void told.push(`${from.uri.user}: ${bodyText(body)}`),
    onCallMessage: (_call, body) => void told.push(`in call: ${bodyText(body)}`),
  });
  peer.send(peer.build("MESSAGE", "sip:echo@10.0.0.2", {}, textBody("hello")), "10.0.0.2");
  await peer.response(200, "MESSAGE");
  const dialog = await connect();
  const message = inDialog("MESSAGE", dialog, 2, textBody("here"));
  assert.ok(bodyOf(message));
  await peer.response(200, "MESSAGE");
  await network.clock.advanceAsync(10);
  assert.deepEqual(told, ["peer: hello", "in call: here"]);
  await finish();
});

Deno.test("messages nobody asked for do not pile up", async () => {
  const { peer, finish } = scene();
  for (let i = 0; i < 40; i++) {
    const headers = { "Call-ID": `m${i}` };
    peer.send(peer.build("MESSAGE", "sip:echo@10.0.0.2", headers, textBody("x")), "10.0.0.2");
    await peer.response(200, "MESSAGE");
  }
  await finish();
});

Deno.test("the end of the number hangs up its calls", async () => {
  const { network, number, peer, connect, finish } = scene();
  await connect();
  await connect();
  const byes: string[] = [];
  peer.onMessage = (message) => {
    if (message.kind !== "request" || message.method !== "BYE") return false;
    byes.push(message.headers.get("Call-ID") ?? "");
    peer.answer(message, 200);
    return true;
  };
  await network.settled(number[Symbol.asyncDispose](), 2_500);
  assert.deepEqual(byes.sort(), ["call1@10.0.0.9", "call2@10.0.0.9"]);
  assert.equal(number.calls, 0);
  await finish();
});
