// The SIP user agent with a real phone: baresip on loopback, both directions.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { bodyText, type SipBody } from "../../lib/sip/message/body.ts";
import { parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import { hasPeer } from "../support/peers.ts";
import { RecordLog } from "../support/record_log.ts";
import { startBaresip } from "../support/sip_baresip.ts";
import { openLoopback } from "../support/sip_loopback.ts";
import { collect, identity } from "../support/sip_network.ts";

const ignore = !hasPeer("baresip");
const never = (): AbortSignal => new AbortController().signal;

function audio(version: number, direction: string): SipBody {
  const lines = [
    "v=0",
    `o=- 1 ${version} IN IP4 127.0.0.1`,
    "s=-",
    "c=IN IP4 127.0.0.1",
    "t=0 0",
    "m=audio 9 RTP/AVP 0",
    "a=rtpmap:0 PCMU/8000",
    `a=${direction}`,
  ];
  return { type: "application/sdp", bytes: encodeUtf8(lines.join("\r\n") + "\r\n") };
}

Deno.test({ name: "baresip answers, is held and resumed, and hears us hang up", ignore }, async () => {
  await using baresip = await startBaresip();
  const log = new RecordLog("debug");
  await using endpoint = openLoopback(log);
  const alice = endpoint.createUserAgent(identity("sip:alice@127.0.0.1"));
  const to = parseNameAddr(`sip:bare@127.0.0.1:${baresip.port}`);
  assert.equal((await alice.request("OPTIONS", to, null, never())).status, 200);
  const told: string[] = [];
  for await (const step of alice.invite(to, audio(1, "sendrecv"), never())) {
    told.push(step.type === "accepted" || step.type === "offer" ? step.type : `${step.status}`);
    if (step.type !== "accepted") continue;
    assert.match(bodyText(step.call.remoteBody ?? audio(0, "none")), /m=audio \d+ RTP\/AVP 0/);
    const held = await step.call.reoffer(audio(2, "sendonly"));
    assert.ok(held.type === "accepted" && held.body !== null);
    assert.match(bodyText(held.body), /a=recvonly/);
    const resumed = await step.call.reoffer(audio(3, "sendrecv"));
    assert.ok(resumed.type === "accepted" && resumed.body !== null);
    assert.match(bodyText(resumed.body), /a=sendrecv/);
    await step.call.hangUp();
  }
  assert.equal(told.at(-1), "accepted", log.lines.join("\n"));
  await baresip.printed(/session closed|Connection reset by user|terminated/i);
  assert.deepEqual(log.at("error"), [], log.lines.join("\n"));
});

Deno.test({ name: "baresip calls, and ends the call when it quits", ignore }, async () => {
  const log = new RecordLog("debug");
  await using endpoint = openLoopback(log);
  const bob = endpoint.createUserAgent(identity(`sip:bob@127.0.0.1:${endpoint.port}`));
  const invited = bob.invitations().next();
  await using baresip = await startBaresip(`/dial sip:bob@127.0.0.1:${endpoint.port}`);
  const next = await invited;
  assert.ok(next.done !== true);
  const invitation = next.value;
  assert.match(bodyText(invitation.offer ?? audio(0, "none")), /m=audio/);
  invitation.ring();
  const outcome = await invitation.accept(audio(1, "sendrecv"));
  assert.ok(outcome.type === "confirmed", JSON.stringify(outcome));
  const events = collect(outcome.call.events());
  await baresip.printed(/Call established/);
  await baresip.quit();
  await endOf(events);
  assert.equal(outcome.call.ending?.by, "remote");
  assert.deepEqual(log.at("error"), []);
});

async function endOf(events: readonly { type: string }[]): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    if (events.some((event) => event.type === "ended")) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("the call did not end");
}
