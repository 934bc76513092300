// Golden traces of media: H.264, x-flv, transcoding, early media, and what a call is told while it is up. See
// tests/support/golden.

import {
  AVC_CONFIG,
  avcTag,
  numbered,
  PPS,
  slice,
  speexPackets,
  SPS,
  toneFrames,
  xflvPackets,
} from "../support/golden/media.ts";
import { branchOf, dialogOf, dialogOfRequest, header, type Phone } from "../support/golden/phone.ts";
import type { Program } from "../support/golden/program.ts";
import { golden, type Stage } from "../support/golden/trace.ts";
import { built } from "../support/transcode_bench.ts";

/** A client without a password that publishes and plays. */
async function caller(
  stage: Stage,
  phone: Phone,
): Promise<{ alice: Program; local: number; remote: number }> {
  const path = `sip/alice@127.0.0.1:${phone.port}`;
  const alice = await stage.program("alice", path, "alice", "", "Alice", "wideband");
  const local = await alice.stream("publish", "local");
  const remote = await alice.stream("play", "remote");
  return { alice, local, remote };
}

/** The call goes through; gives its INVITE. */
async function answered(alice: Program, bob: Phone, codecs: readonly string[], media: readonly string[]) {
  await alice.done("invite", bob.uri, ...codecs);
  const invite = await bob.take(/^INVITE/);
  bob.audio.learn(invite);
  bob.video.learn(invite);
  bob.respond(invite, "200 OK", { body: bob.sdp(...media) });
  await bob.take(/^ACK/);
  await alice.take(/accepted/);
  return invite;
}

async function hungUp(stage: Stage, alice: Program, bob: Phone): Promise<void> {
  await alice.done("bye");
  bob.respond(await bob.take(/^BYE/), "200 OK");
  await stage.quiet();
  await alice.close();
}

const [KEY, INTER] = [slice("I", 3001, 1), slice("P", 300, 2)];
const STAP_A = Uint8Array.of(0x78, 0, SPS.length, ...SPS, 0, PPS.length, ...PPS);

/** One frame of the phone: parameter sets before a key frame. */
function picture(phone: Phone, payloadType: number, nal: Uint8Array): void {
  if ((nal[0]! & 31) === 5) phone.video.send(payloadType, STAP_A, 0);
  phone.video.send(payloadType, nal, 3600, true);
}

golden("07 H 264 with RTCP feedback", async (stage) => {
  const bob = stage.phone("bob");
  const { alice, local, remote } = await caller(stage, bob);
  stage.note("what is published before the call is in the offer");
  alice.send(local, 9, 0, AVC_CONFIG);
  await answered(alice, bob, ["pcmu", "h264"], [
    bob.audioLine("0"),
    bob.videoLine("99"),
    "a=rtpmap:99 H264/90000",
    "a=fmtp:99 profile-level-id=42c01e;packetization-mode=1",
    "a=rtcp-fb:99 nack pli",
    "a=rtcp-fb:99 ccm fir",
  ]);
  stage.note("pictures of the client");
  const frames = [avcTag(KEY), avcTag(INTER), avcTag(INTER, slice("P", 40, 3)), avcTag(slice("P", 2000, 4))];
  await alice.speak(local, 9, frames, 40, 2000);
  const ours = await bob.video.take(8);
  stage.note("the phone asks for a key frame by PLI and by FIR");
  for (const format of [1, 4] as const) {
    bob.video.sendFeedback(format, ours[0]!.ssrc);
    await alice.take(/KeyFrameWanted/);
    await bob.video.take(4, { anew: true });
    await new Promise((resolve) => setTimeout(resolve, 350)); // a second request would be left out
  }
  stage.note("pictures of the phone; one packet is lost, and a key frame is asked for");
  for (const nal of [slice("I", 900, 5), slice("P", 100, 6), slice("P", 120, 7)]) {
    picture(bob, 99, nal);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  await alice.takeMedia(remote, 9, 3);
  bob.video.lose();
  picture(bob, 99, slice("P", 100, 8));
  await bob.video.takeFeedback();
  await hungUp(stage, alice, bob);
});

golden("07 H 264 with requests by INFO", async (stage) => {
  const bob = stage.phone("bob");
  const { alice, local, remote } = await caller(stage, bob);
  const invite = await answered(alice, bob, ["h264", "pcma"], [
    bob.audioLine("8"),
    bob.videoLine("126"),
    "a=rtpmap:126 H264/90000",
    "a=fmtp:126 profile-level-id=42e01f;packetization-mode=0",
  ]);
  stage.note("single NAL units only");
  const small = slice("I", 900, 1);
  await alice.speak(local, 9, [AVC_CONFIG, avcTag(small), avcTag(INTER)], 40, 1000);
  await bob.video.take(4);
  stage.note("the phone asks for a key frame");
  const xml = '<?xml version="1.0" encoding="utf-8"?><media_control><vc_primitive><to_encoder>' +
    "<picture_fast_update/></to_encoder></vc_primitive></media_control>";
  bob.request("INFO", 1, dialogOfRequest(invite, "bob-tag"), {
    type: "application/media_control+xml",
    body: xml,
  });
  await bob.take(/ 200 /);
  await alice.take(/KeyFrameWanted/);
  await bob.video.take(3, { anew: true });
  stage.note("the gateway asks for one");
  picture(bob, 126, slice("I", 200, 5));
  await alice.takeMedia(remote, 9, 2);
  bob.video.lose();
  picture(bob, 126, slice("P", 100, 8));
  bob.respond(await bob.take(/^INFO/), "200 OK");
  await hungUp(stage, alice, bob);
});

golden("07 x flv", async (stage) => {
  const bob = stage.phone("bob");
  const { alice, local, remote } = await caller(stage, bob);
  await answered(alice, bob, [], [
    bob.audioLine("96 101"),
    "a=rtpmap:96 speex/16000",
    "a=rtpmap:101 telephone-event/8000",
    bob.videoLine("97"),
    "a=rtpmap:97 x-flv/90000",
  ]);
  stage.note("sound and pictures of the client in one stream");
  alice.send(local, 8, 1000, Uint8Array.of(0xb2, 0x61, 0x62, 0x63, 0x64));
  alice.send(local, 9, 1010, AVC_CONFIG);
  alice.send(local, 9, 1010, avcTag(slice("I", 2495, 1)));
  alice.send(local, 8, 1020, Uint8Array.of(0xb2, 0x65, 0x66));
  alice.send(local, 18, 1030, Uint8Array.of(2, 0, 2, 0x68, 0x69));
  await bob.video.take(7);
  stage.note("and of the phone");
  const messages = [
    { type: 8, time: 7000, body: Uint8Array.of(0xb2, 1, 2, 3) },
    { type: 9, time: 7010, body: AVC_CONFIG },
    { type: 9, time: 7010, body: avcTag(slice("I", 1500, 2)) },
    { type: 8, time: 7020, body: Uint8Array.of(0xb2, 4, 5, 6) },
  ] as const;
  for (const [sequence, message] of messages.entries()) {
    for (const payload of xflvPackets(sequence, message)) bob.video.send(97, payload, 0);
  }
  await alice.takeMedia(remote, 8, 2);
  await alice.takeMedia(remote, 9, 2);
  await hungUp(stage, alice, bob);
});

golden("08 transcoded Speex and PCMA", async (stage) => {
  const bob = stage.phone("bob");
  const { alice, local, remote } = await caller(stage, bob);
  await answered(alice, bob, ["alaw"], [bob.audioLine("8")]);
  const sound = speexPackets("wideband", 40).map((packet) => Uint8Array.of(0xb2, ...packet));
  await alice.speak(local, 8, sound, 20, 500);
  await bob.audio.takeForms(20);
  await bob.audio.speak(8, numbered(40, 160), 160);
  await alice.takeForms(remote, 8, 20);
  await hungUp(stage, alice, bob);
}, { ignore: !built });

for (const codec of ["aac", "opus"] as const) {
  golden(`08 transcoded ${codec} and PCMU`, async (stage) => {
    const bob = stage.phone("bob");
    const { alice, local, remote } = await caller(stage, bob);
    await answered(alice, bob, [codec], [bob.audioLine("0")]);
    const { config, tags, stepMs } = toneFrames(codec);
    if (config !== null) alice.send(local, 8, 0, config);
    await alice.speak(local, 8, tags, stepMs);
    await bob.audio.takeForms(20);
    await bob.audio.speak(0, numbered(50, 160), 160);
    if (codec === "aac") await alice.takeMedia(remote, 8, 1);
    await alice.takeForms(remote, 8, 20);
    await hungUp(stage, alice, bob);
  }, { ignore: !built });
}

golden("08 Opus as it is, G 722 transcoded", async (stage) => {
  const bob = stage.phone("bob");
  const { alice, local, remote } = await caller(stage, bob);
  await answered(alice, bob, ["opus"], [bob.audioLine("111"), "a=rtpmap:111 opus/48000/2"]);
  const { tags } = toneFrames("opus");
  await alice.speak(local, 8, tags.slice(0, 10), 20, 3000);
  await bob.audio.take(10);
  await bob.audio.speak(111, tags.slice(0, 10).map((tag) => tag.subarray(5)), 960);
  await alice.takeMedia(remote, 8, 8);
  await hungUp(stage, alice, bob);
  const carol = stage.phone("carol");
  const path = `sip/dave@127.0.0.1:${carol.port}`;
  const dave = await stage.program("dave", path, "dave", "", null, "narrowband");
  const speaking = await dave.stream("publish", "local");
  await answered(dave, carol, [], [carol.audioLine("9"), "a=rtpmap:9 G722/8000"]);
  await dave.speak(
    speaking,
    8,
    speexPackets("narrowband", 40).map((packet) => Uint8Array.of(0xb2, ...packet)),
    20,
  );
  await carol.audio.takeForms(20);
  await hungUp(stage, dave, carol);
}, { ignore: !built });

golden("11 the phone changes the call", async (stage) => {
  const bob = stage.phone("bob");
  const registrar = stage.phone("registrar");
  const alice = await stage.silentProgram("alice");
  alice.connect(`sip/alice@127.0.0.1:${registrar.port}`, "alice", "secret", null, "wideband");
  const register = await registrar.take(/^REGISTER/);
  registrar.respond(register, "200 OK", { headers: [`Contact: ${header(register, "Contact")}`] });
  await alice.take(/_result/);
  const remote = await alice.stream("play", "remote");
  stage.note("a call with a session timer");
  const timer = ["Supported: timer, 100rel", "Session-Expires: 1800", "Min-SE: 90"];
  const sdp = (direction: string, version: number, port = bob.audio.port): string =>
    bob.sdp(`m=audio ${port} RTP/AVP 0`, `a=${direction}`).replace("o=- 7 7", `o=- 7 ${version}`);
  bob.request("INVITE", 1, bob.toward("alice", "changes"), { body: sdp("sendrecv", 1), headers: timer });
  await bob.take(/ 180 /);
  await alice.take(/invited/);
  await alice.done("accept", "pcmu");
  const ok = await bob.take(/ 200 /);
  bob.audio.learn(ok);
  const within = dialogOf(ok);
  bob.request("ACK", 1, within);
  await alice.take(/accepted/);
  let cseq = 1;
  const again = async (body: string | undefined, headers: string[] = timer): Promise<string> => {
    bob.request("INVITE", ++cseq, within, body === undefined ? { headers } : { body, headers });
    const answer = await bob.take(/^SIP\/2.0 [2-6]/);
    return answer;
  };
  stage.note("held and resumed by the phone");
  await again(sdp("sendonly", 2));
  bob.request("ACK", cseq, within);
  await alice.take(/holded/);
  await again(sdp("sendrecv", 3));
  bob.request("ACK", cseq, within);
  await alice.take(/holded/);
  stage.note("held the old way");
  await again(sdp("sendonly", 4).replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0"));
  bob.request("ACK", cseq, within);
  await alice.take(/holded/);
  await again(sdp("sendrecv", 5));
  bob.request("ACK", cseq, within);
  await alice.take(/holded/);
  stage.note("a re-INVITE without an offer");
  const offer = await again(undefined);
  bob.audio.learn(offer);
  bob.request("ACK", cseq, within, { body: sdp("sendrecv", 6) });
  stage.note("one with nothing in common");
  const before = { cseq: cseq + 1 };
  const unfit = await again(bob.sdp(bob.audioLine("18"), "a=rtpmap:18 G729/8000"));
  bob.request("ACK", before.cseq, { ...within, to: header(unfit, "To") }, {}, branchOf(unfit));
  stage.note("UPDATE without and with an offer");
  bob.request("UPDATE", ++cseq, within, { headers: timer });
  await bob.take(/^SIP/);
  bob.request("UPDATE", ++cseq, within, { headers: timer, body: sdp("sendrecv", 7) });
  await bob.take(/^SIP/);
  stage.note("media still flow");
  await bob.audio.speak(0, numbered(8, 160), 160);
  await alice.takeMedia(remote, 8, 6);
  stage.note("the client holds and resumes");
  for (const held of [true, false]) {
    await alice.done("hold", held);
    bob.respond(await bob.take(/^INVITE/), "200 OK", {
      body: sdp(held ? "recvonly" : "sendrecv", held ? 8 : 9),
    });
    await bob.take(/^ACK/);
  }
  stage.note("methods that a dialog does not have");
  bob.request("REFER", ++cseq, within, { headers: ["Refer-To: <sip:carol@127.0.0.1>"] });
  await bob.take(/^SIP/);
  bob.request("NOTIFY", ++cseq, within, { headers: ["Event: refer", "Subscription-State: active"] });
  await bob.take(/^SIP/);
  bob.request("BYE", ++cseq, within);
  await bob.take(/ 200 /);
  await alice.take(/byed/);
  stage.note("a BYE of a dialog that is not there any more");
  bob.request("BYE", ++cseq, within);
  await bob.take(/^SIP/);
  await stage.quiet();
  await alice.close();
  registrar.respond(await registrar.take(/^REGISTER/), "200 OK");
});

golden("11 early media with PRACK", async (stage) => {
  const bob = stage.phone("bob");
  const { alice, local } = await caller(stage, bob);
  stage.note("the interval is too small for the phone");
  await alice.done("invite", bob.uri, "pcmu");
  const first = await bob.take(/^INVITE/);
  bob.respond(first, "422 Session Interval Too Small", { headers: ["Min-SE: 2400"] });
  await bob.take(/^ACK/);
  const invite = await bob.take(/^INVITE/);
  bob.audio.learn(invite);
  stage.note("183 with a description, reliably");
  const body = bob.sdp(bob.audioLine("0"));
  bob.respond(invite, "183 Session Progress", {
    body,
    headers: ["Require: 100rel", "RSeq: 71", `Contact: <${bob.uri}>`],
  });
  bob.respond(await bob.take(/^PRACK/), "200 OK");
  await alice.take(/ringing/);
  await bob.audio.take(3);
  bob.respond(invite, "180 Ringing", { headers: ["Require: 100rel", "RSeq: 72"] });
  bob.respond(await bob.take(/^PRACK/), "200 OK");
  await alice.take(/ringing/);
  bob.respond(invite, "200 OK", { headers: ["Require: timer", "Session-Expires: 2400;refresher=uac"] });
  await bob.take(/^ACK/);
  await alice.take(/accepted/);
  stage.note("the client's own sound");
  await alice.speak(local, 8, numbered(8, 160, 0x82), 20, 1000);
  await bob.audio.take(6, { isTaken: ({ payload }) => payload.some((octet) => octet !== 0xff), anew: true });
  await hungUp(stage, alice, bob);
});

golden("11 reliable ringing and a delayed offer", async (stage) => {
  const bob = stage.phone("bob");
  const registrar = stage.phone("registrar");
  const alice = await stage.silentProgram("alice");
  alice.connect(`sip/alice@127.0.0.1:${registrar.port}`, "alice", "secret", null, "wideband");
  const register = await registrar.take(/^REGISTER/);
  registrar.respond(register, "200 OK", { headers: [`Contact: ${header(register, "Contact")}`] });
  await alice.take(/_result/);
  const offered = bob.sdp(bob.audioLine("0"));
  for (
    const [what, headers, body] of [
      ["the INVITE requires 100rel", ["Require: 100rel", "Supported: timer"], { body: offered }],
      ["the INVITE has no offer", ["Supported: timer"], {}],
      ["the INVITE has no offer and supports 100rel", ["Supported: 100rel"], {}],
    ] as const
  ) {
    stage.note(what);
    const dialog = bob.toward("alice", what.replaceAll(" ", "-"));
    bob.request("INVITE", 1, dialog, { headers, ...body });
    const ringing = await bob.take(/ 18\d /);
    await alice.take(/invited/);
    if (header(ringing, "RSeq") !== "") {
      const answer = ringing.includes("m=audio") ? { body: offered } : {};
      bob.request("PRACK", 2, dialogOf(ringing), {
        headers: [`RAck: ${header(ringing, "RSeq")} 1 INVITE`],
        ...answer,
      });
      await bob.take(/ 200 /);
    }
    await alice.done("accept", "pcmu");
    const ok = await bob.take(/ 200 /);
    bob.request("ACK", 1, dialogOf(ok), "body" in body ? {} : { body: offered });
    await alice.take(/accepted/);
    await alice.done("bye");
    bob.respond(await bob.take(/^BYE/), "200 OK");
    await stage.quiet();
  }
  await stage.quiet();
  await alice.close();
  registrar.respond(await registrar.take(/^REGISTER/), "200 OK");
});
