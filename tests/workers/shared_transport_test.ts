// What reaches the wrong worker's port finds its user, and the answers leave by the port they were asked at.

import assert from "node:assert/strict";
import { silentLog } from "../../lib/base/log.ts";
import type { MessageTransport } from "../../lib/sip/ua/endpoint.ts";
import type { Flow } from "../../lib/sip/message/target.ts";
import { parseSipUri } from "../../lib/sip/message/uri.ts";
import { handedFlow, originOf, SharedTransport } from "../../lib/workers/shared_transport.ts";
import { UserDirectory } from "../../lib/workers/user_directory.ts";
import { collect, sdp } from "../support/sip_network.ts";
import { HOST, workerScene } from "../support/workers_sip.ts";

Deno.test("hand-over: a call to the base port for a user of worker 1 lives at worker 1's port", async () => {
  const scene = workerScene();
  const { network, posted } = scene;
  const bob = scene.user(1, "sip:bob@example.com");
  const peer = network.peer("10.0.0.9");
  const invitations = collect(bob.invitations());
  peer.send(peer.build("INVITE", `sip:bob@${HOST}`, {}, sdp("peer")), HOST, 5060);
  await network.until("an invitation", () => invitations.length === 1);
  const [invitation] = invitations;
  invitation!.ring();
  const ringing = await peer.response(180);
  assert.match(ringing.headers.get("Contact") ?? "", new RegExp(`<sip:bob@${HOST}:5061;line=1\\.`));
  const accepting = invitation!.accept(sdp("bob"));
  const ok = await peer.response(200, "INVITE");
  assert.deepEqual(posted, ["0>1 INVITE", "1>0 100", "1>0 180", "1>0 200"]);
  assert.ok(network.wire.every((line) => line.startsWith("10.0.0.")));

  // From here on the peer talks to the Contact, which is worker 1's own port.
  const inDialog = { "To": ok.headers.get("To") ?? "", "CSeq": "1 ACK" };
  const contact = /<(.*)>/.exec(ok.headers.get("Contact") ?? "")?.[1] ?? "";
  peer.send(peer.build("ACK", contact, inDialog), HOST, 5061);
  const outcome = await network.settled(accepting);
  assert.ok(outcome.type === "confirmed");
  const bye = network.settled(outcome.call.hangUp());
  peer.answer(await peer.request("BYE"), 200);
  await bye;
  assert.equal(posted.length, 4, "nothing of the dialog went through worker 0");
  await scene.close();
});

Deno.test("hand-over: CANCEL follows its INVITE, and so does the ACK of the 487", async () => {
  const scene = workerScene();
  const { network, posted } = scene;
  const bob = scene.user(1, "sip:bob@example.com");
  const peer = network.peer("10.0.0.9");
  const invitations = collect(bob.invitations());
  const invite = peer.build("INVITE", `sip:bob@${HOST}`, {}, sdp("peer"));
  peer.send(invite, HOST, 5060);
  await network.until("an invitation", () => invitations.length === 1);
  const via = { Via: invite.headers.get("Via") ?? "" };
  // He would be found at worker 0 now, but this call is worker 1's.
  scene.user(0, "sip:bob@example.com");
  peer.send(peer.build("CANCEL", `sip:bob@${HOST}`, { ...via, CSeq: "1 CANCEL" }), HOST, 5060);
  await peer.response(200, "CANCEL");
  const gone = await peer.response(487, "INVITE");
  const to = gone.headers.get("To") ?? "";
  peer.send(peer.build("ACK", `sip:bob@${HOST}`, { ...via, To: to, CSeq: "1 ACK" }), HOST, 5060);
  await network.until("the ACK", () => posted.includes("0>1 ACK"));
  assert.ok(invitations[0]!.cancelled.aborted);
  await network.clock.advanceAsync(40_000);
  assert.deepEqual(posted.filter((line) => line.endsWith("487")), ["1>0 487"], "the ACK stopped it");
  await scene.close();
});

Deno.test("hand-over: MESSAGE and OPTIONS, by user and by line; what is nobody's is refused where it came", async () => {
  const scene = workerScene();
  const { network, posted } = scene;
  const bob = scene.user(1, "sip:bob@example.com");
  const carol = scene.user(0, "sip:carol@example.com");
  const peer = network.peer("10.0.0.9");
  const table: [method: string, uri: string, port: number, status: number, posted: string[]][] = [
    ["OPTIONS", `sip:bob@${HOST}`, 5060, 200, ["0>1 OPTIONS", "1>0 200"]],
    ["MESSAGE", `sip:x@${HOST};line=${bob.line}`, 5060, 200, ["0>1 MESSAGE", "1>0 200"]],
    ["OPTIONS", `sip:carol@${HOST};line=${carol.line}`, 5061, 200, ["1>0 OPTIONS", "0>1 200"]],
    ["OPTIONS", `sip:bob@${HOST}`, 5061, 200, []],
    ["OPTIONS", `sip:${HOST}`, 5060, 200, []],
    ["MESSAGE", `sip:nobody@${HOST}`, 5060, 480, []],
    ["INVITE", `sip:bob@${HOST};line=1.left`, 5060, 480, []],
    ["INVITE", `sip:nobody@${HOST}`, 5060, 404, []],
  ];
  for (const [index, [method, uri, port, status, expected]] of table.entries()) {
    posted.length = 0;
    const ids = { "Call-ID": `call-${index}`, "From": `<sip:peer@10.0.0.9>;tag=${index}` };
    peer.send(peer.build(method, uri, ids), HOST, port);
    await peer.response(status, method);
    assert.deepEqual(posted, expected, `${method} ${uri} at ${port}`);
  }
  await scene.close();
});

Deno.test("hand-over: two users of the gateway call each other through the base port", async () => {
  const scene = workerScene();
  const { network, posted } = scene;
  const alice = scene.user(0, "sip:alice@example.com");
  const bob = scene.user(1, `sip:bob@${HOST}`);
  const invitations = collect(bob.invitations());
  const steps: string[] = [];
  const calling = (async () => {
    const { aor } = bob.identity;
    const to = { displayName: null, uri: { ...aor, port: 5060 }, params: new Map() };
    for await (const step of alice.invite(to, sdp("alice"), new AbortController().signal)) {
      steps.push(step.type);
      if (step.type === "accepted") return step.call;
    }
    return assert.fail(steps.join());
  })();
  await network.until("an invitation", () => invitations.length === 1);
  const accepted = await network.settled(invitations[0]!.accept(sdp("bob")));
  assert.ok(accepted.type === "confirmed");
  const call = await network.settled(calling);
  posted.length = 0;
  const ended = collect(call.events());
  await network.settled(accepted.call.hangUp()); // the BYE goes to alice's line, whoever has this Call-ID
  await network.until("the end", () => ended.length === 1);
  assert.equal(ended[0]!.type, "ended");
  assert.deepEqual(posted, []);
  await scene.close();
});

Deno.test("hand-over: the flow of another worker is told apart from ours, and given back as it was", () => {
  const flow: Flow = {
    transport: "tcp",
    remote: { hostname: "192.0.2.1", port: 1000 },
    local: { hostname: "192.0.2.2", port: 5060 },
    connectionId: 77,
  };
  assert.equal(originOf(flow), null);
  for (const worker of [0, 1, 63]) {
    const handed = handedFlow(worker, flow);
    assert.ok(Number.isSafeInteger(handed.connectionId));
    assert.deepEqual(originOf(handed), { worker, flow });
    assert.deepEqual(
      originOf(handedFlow(worker, { ...flow, transport: "udp", connectionId: 0 }))?.worker,
      worker,
    );
  }
});

Deno.test("a flood at this port: what is for a user of another worker is read all the same", () => {
  const directory = new UserDirectory();
  directory.add({ worker: 1, line: "1.b", user: "bob", host: "example.com", port: null, ownsAddress: false });
  const inner: MessageTransport = {
    port: 5060,
    onMessage: null,
    send: () => Promise.resolve({ type: "failed", reason: "not today" }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const nothing = () => {};
  const shared = new SharedTransport(inner, {
    worker: 0,
    directory,
    workerAtPort: () => null,
    handOver: nothing,
    relay: nothing,
    log: silentLog,
  });
  const asked: string[] = [];
  shared.filter = {
    malformed: (address) => address === "192.0.2.1",
    dropsUnread: (_bytes, address, isElsewhere = () => false) => {
      for (const user of ["bob", "nobody"]) {
        asked.push(`${address} ${user} ${isElsewhere(parseSipUri(`sip:${user}@example.com`))}`);
      }
      return true;
    },
  };
  assert.deepEqual(["192.0.2.1", "192.0.2.2"].map((address) => inner.filter?.malformed(address)), [
    true,
    false,
  ]);
  assert.ok(inner.filter?.dropsUnread(new Uint8Array(9), "192.0.2.1"));
  assert.deepEqual(asked, ["192.0.2.1 bob true", "192.0.2.1 nobody false"]);
  shared.filter = null;
  assert.equal(inner.filter, null);
});
