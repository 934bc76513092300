// Golden traces of programs that publish and play: calls by URL, call-in lines, live streams and files. See
// tests/support/golden.

import { AVC_CONFIG, avcTag, numbered, slice, toneFrames } from "../support/golden/media.ts";
import { dialogOf, dialogOfRequest, type Phone, type RtpIn } from "../support/golden/phone.ts";
import type { Program } from "../support/golden/program.ts";
import { golden } from "../support/golden/trace.ts";
import { writeAmf } from "../support/golden/amf.ts";

const KEY = "a-key-of-sixteen-letters";

function account(more: string): string {
  return `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\n${more}\n`;
}

/** Metadata as encoders send it. */
function metadata(...values: unknown[]): Uint8Array {
  const body: number[] = [];
  for (const value of values) writeAmf(body, value);
  return Uint8Array.from(body);
}

const isSound = ({ payload }: RtpIn): boolean => payload.some((octet) => octet !== 0xff);
const ULAW = numbered(30, 160, 0x82);

/** Hangs up from the gateway's side. */
async function hungUp(phone: Phone): Promise<void> {
  phone.respond(await phone.take(/^BYE/), "200 OK");
}

golden("09 call by URL", async (stage) => {
  const bob = stage.phone("bob");
  stage.note("a player comes before the call");
  const player = await stage.program("player", "call/desk");
  const heard = await player.stream("play", `bob@127.0.0.1:${bob.port}?key=${KEY}`);
  stage.note("the publisher dials with its first sound; it is busy, and dialled again");
  const publisher = await stage.program("publisher", `call/desk?key=${KEY}`);
  const said = await publisher.stream("publish", `bob@127.0.0.1:${bob.port}`);
  publisher.send(
    said,
    18,
    0,
    metadata("@setDataFrame", "onMetaData", { audiocodecid: 8, encoder: "golden" }),
  );
  publisher.send(said, 8, 0, ULAW[0]!);
  const busy = await bob.take(/^INVITE/);
  bob.respond(busy, "180 Ringing");
  await publisher.take(/Call\.Ringing/);
  bob.respond(busy, "486 Busy Here");
  await bob.take(/^ACK/);
  await publisher.take(/Call\.Retrying/);
  stage.note("the second attempt is answered");
  const invite = await bob.take(/^INVITE/);
  bob.audio.learn(invite);
  bob.respond(invite, "200 OK", {
    body: bob.sdp(bob.audioLine("0 101"), "a=rtpmap:101 telephone-event/8000"),
  });
  await bob.take(/^ACK/);
  await publisher.take(/Call\.Accepted/);
  await publisher.speak(said, 8, ULAW.slice(0, 10), 20, 4000);
  await bob.audio.take(10);
  await bob.audio.speak(0, numbered(12, 160), 160);
  await player.takeMedia(heard, 8, 10);
  await player.take(/onMetaData/);
  stage.note("keys both ways");
  publisher.call("sendDTMF", "9");
  bob.respond(await bob.take(/^INFO/), "200 OK");
  await publisher.take(/_result/);
  const within = dialogOfRequest(invite, "bob-tag");
  bob.request("INFO", 1, within, { type: "application/dtmf-relay", body: "Signal=3\r\nDuration=100\r\n" });
  await bob.take(/ 200 /);
  await publisher.take(/receivedDTMF/);
  stage.note("the publisher stops");
  publisher.streamCall(said, "closeStream");
  await hungUp(bob);
  await player.take(/UnpublishNotify/);
  await stage.quiet();
  await publisher.close();
  await player.close();
}, { file: account(`key = "${KEY}"\ncodecs = "pcmu"\nredial = 1\nredial-delay = 1`) });

golden("09 call by URL that ends", async (stage) => {
  const bob = stage.phone("bob");
  stage.note("refused");
  const first = await stage.program("first", "call/desk");
  const one = await first.stream("publish", `bob@127.0.0.1:${bob.port}`);
  first.send(one, 8, 0, ULAW[0]!);
  bob.respond(await bob.take(/^INVITE/), "404 Not Found");
  await bob.take(/^ACK/);
  await first.take(/Connect\.Closed/);
  await first.takeEnd();
  stage.note("with video, and the phone hangs up");
  const second = await stage.program("second", "call/desk");
  const two = await second.stream("publish", `bob@127.0.0.1:${bob.port}`);
  second.send(two, 9, 0, AVC_CONFIG);
  second.send(two, 8, 0, ULAW[0]!);
  const invite = await bob.take(/^INVITE/);
  const video = [
    bob.videoLine("99"),
    "a=rtpmap:99 H264/90000",
    "a=fmtp:99 profile-level-id=42c01e;packetization-mode=1",
  ];
  bob.respond(invite, "200 OK", { body: bob.sdp(bob.audioLine("0"), ...video) });
  await bob.take(/^ACK/);
  await second.take(/Call\.Accepted/);
  await second.speak(two, 9, [avcTag(slice("I", 700, 1)), avcTag(slice("P", 90, 2))], 40, 900);
  await bob.video.take(2);
  bob.request("BYE", 1, dialogOfRequest(invite, "bob-tag"));
  await bob.take(/ 200 /);
  await second.take(/Connect\.Closed/);
  await second.takeEnd();
  stage.note("dialled by the path of sip; the player leaves");
  const dial = encodeURIComponent(`sip:bob@127.0.0.1:${bob.port}`);
  const third = await stage.program("third", `sip/carol@127.0.0.1?dial=${dial}`);
  const three = await third.stream("play", "remote");
  const dialled = await bob.take(/^INVITE/);
  bob.audio.learn(dialled);
  bob.respond(dialled, "200 OK", { body: bob.sdp(bob.audioLine("0")) });
  await bob.take(/^ACK/);
  await bob.audio.speak(0, numbered(10, 160), 160);
  await third.takeMedia(three, 8, 8);
  await third.close();
  await hungUp(bob);
  stage.note("a wrong account");
  const fourth = await stage.silentProgram("fourth");
  fourth.connect("call/nobody");
  if (/_error/.test(await fourth.take(/_result|_error/))) await fourth.takeEnd();
  else await refused(fourth, "publish", "bob@127.0.0.1");
  await stage.quiet();
}, { file: account('codecs = "pcmu,h264"') });

golden("10 call in line, auto", async (stage) => {
  const bob = stage.phone("bob");
  const player = await stage.program("player", `line?key=${KEY}`);
  const heard = await player.stream("play", "desk");
  stage.note("a caller is answered at once");
  bob.request("INVITE", 1, bob.toward("desk", "line"), { body: bob.sdp(bob.audioLine("0 8")) });
  const ok = await bob.take(/ 200 /);
  bob.audio.learn(ok);
  const within = dialogOf(ok);
  bob.request("ACK", 1, within);
  await player.take(/Call\.Accepted/);
  await bob.audio.take(3);
  await bob.audio.speak(0, numbered(12, 160), 160);
  await player.takeMedia(heard, 8, 10);
  stage.note("a second caller is busy");
  const carol = stage.phone("carol");
  const second = carol.toward("desk", "second");
  const invite = carol.request("INVITE", 1, second, { body: carol.sdp(carol.audioLine("0")) });
  const busy = await carol.take(/ 486 /);
  carol.request("ACK", 1, { ...second, to: dialogOf(busy).to }, {}, branch(invite));
  stage.note("somebody speaks, and leaves");
  const speaker = await stage.program("speaker", "line/desk");
  const said = await speaker.stream("publish", `say?key=${KEY}`);
  await speaker.speak(said, 8, ULAW.slice(0, 10), 20, 100);
  await bob.audio.take(8, { isTaken: isSound, anew: true });
  await speaker.close();
  bob.request("BYE", 2, within);
  await bob.take(/ 200 /);
  await player.take(/Call\.Ended/);
  await stage.quiet();
  await player.close();
}, { file: account(`answer = "auto"\ncodecs = "pcmu"\nkey = "${KEY}"`) });

golden("10 call in line, on publish", async (stage) => {
  const bob = stage.phone("bob");
  stage.note("a wrong key");
  const unknown = await stage.program("stranger", "line");
  await refused(unknown, "play", "desk?key=wrong");
  await unknown.take(/Connect\.Rejected/);
  await unknown.takeEnd();
  stage.note("it rings until somebody publishes");
  bob.request("INVITE", 1, bob.toward("desk", "publish"), { body: bob.sdp(bob.audioLine("8 0")) });
  await bob.take(/ 180 /);
  const speaker = await stage.program("speaker", `line/desk?key=${KEY}`);
  const said = await speaker.stream("publish", "say");
  await speaker.speak(said, 8, ULAW.slice(0, 1), 20);
  const ok = await bob.take(/ 200 /);
  bob.request("ACK", 1, dialogOf(ok));
  await speaker.take(/Call\.Accepted/);
  bob.request("MESSAGE", 2, dialogOf(ok), { type: "text/plain", body: "hello line" });
  await bob.take(/ 20\d /);
  await speaker.take(/receivedMessage/);
  stage.note("the publisher hangs up");
  await speaker.done("bye");
  await hungUp(bob);
  await speaker.take(/Call\.Ended/);
  await stage.quiet();
  await speaker.close();
}, { file: account(`answer = "on-publish"\ncodecs = "pcmu"\nkey = "${KEY}"`) });

function branch(request: string): string {
  return /;branch=([^;\r]+)/.exec(request)?.[1] ?? "";
}

/** Asks for a stream and is refused. */
async function refused(program: Program, verb: "publish" | "play", name: string): Promise<void> {
  program.call("createStream");
  const id = Number(/(\d+)$/.exec(await program.take(/_result/))?.[1]);
  program.streamCall(id, verb, name);
  await program.take(/"error"/);
}

const META = { width: 320, height: 240, framerate: 25, videocodecid: 7, audiocodecid: 10, stereo: false };

golden("12 live stream", async (stage) => {
  const publisher = await stage.program("publisher", "live/room");
  publisher.call("releaseStream", "cam");
  publisher.call("FCPublish", "cam");
  await publisher.take(/"_result" 2|"_error" 2/);
  await publisher.take(/"_result" 3|"_error" 3/);
  const sent = await publisher.stream("publish", "cam", "live");
  const early = await stage.program("early", "live");
  const first = await early.stream("play", "room/cam");
  stage.note("configurations, metadata and a group of pictures");
  const { config, tags } = toneFrames("aac");
  publisher.send(sent, 18, 0, metadata("@setDataFrame", "onMetaData", META));
  publisher.send(sent, 9, 0, AVC_CONFIG);
  publisher.send(sent, 8, 0, config!);
  publisher.send(sent, 9, 0, avcTag(slice("I", 800, 1)));
  for (let i = 1; i < 6; i++) {
    publisher.send(sent, 8, 21 * i, tags[i]!);
    publisher.send(sent, 9, 40 * i, avcTag(slice("P", 200, i)));
  }
  await early.take(/onMetaData/);
  await early.takeMedia(first, 9, 7);
  await early.takeMedia(first, 8, 6);
  stage.note("a late one");
  const late = await stage.program("late", "live/room");
  const second = await late.stream("play", "cam", -1);
  await late.take(/onMetaData/);
  await late.takeMedia(second, 9, 7);
  await late.takeMedia(second, 8, 6);
  stage.note("data, and a second publisher");
  publisher.send(sent, 18, 250, metadata("onCuePoint", { name: "here" }));
  await early.take(/onCuePoint/);
  await late.take(/onCuePoint/);
  const other = await stage.program("other", "live/room");
  await refused(other, "publish", "cam");
  stage.note("a player pauses, goes on, stops hearing, leaves");
  late.streamCall(second, "receiveAudio", false);
  late.streamCall(second, "pause", true, 0);
  await late.take(/Pause\.Notify/);
  late.streamCall(second, "pause", false, 0);
  await late.take(/Unpause\.Notify/);
  late.call("deleteStream", second);
  late.call("getStreamLength", "cam");
  await late.take(/"_result" 4|"_error" 4/);
  stage.note("the publisher leaves");
  publisher.call("FCUnpublish", "cam");
  await publisher.take(/onFCUnpublish/);
  await publisher.done("deleteStream", sent);
  await early.take(/UnpublishNotify/);
  await publisher.close();
  stage.note("and comes again");
  const again = await stage.program("again", "live");
  const anew = await again.stream("publish", "room/cam");
  await early.take(/Play\.PublishNotify/);
  again.send(anew, 9, 0, AVC_CONFIG);
  again.send(anew, 9, 0, avcTag(slice("I", 300, 9)));
  await early.takeMedia(first, 9, 2);
});

golden("12 connections of other kinds", async (stage) => {
  for (const [name, path] of [["empty", ""], ["strange", "sip"], ["odd", "sip/not an address"]] as const) {
    stage.note(`path "${path}"`);
    const program = await stage.silentProgram(name);
    program.connect(path);
    if (/_error/.test(await program.take(/_result|_error/))) await program.takeEnd();
  }
  stage.note("AMF3");
  const modern = await stage.silentProgram("modern");
  modern.connectAs(3, "live/room");
  await modern.take(/_result/);
  await modern.stream("play", "cam");
  stage.note("an encoding that does not exist");
  const unknown = await stage.silentProgram("unknown");
  unknown.connectAs(1, "live/room");
  await unknown.take(/_error/);
  await unknown.takeEnd();
  stage.note("a client that is replaced by another one of its address");
  const older = await stage.program("older", "sip/alice@127.0.0.1", null, "");
  await stage.program("newer", "sip/alice@127.0.0.1", null, "");
  await older.take(/Connect\.Closed/);
  await older.takeEnd();
});
