// What happens inside the network namespace of gateway_baresip_test.ts: a gateway, a user of it, a real baresip.
// `deno run -A baresip_scenario.ts NAME` plays one scenario and prints what was measured, as JSON.

import { decodeG711, type G711Law } from "../../lib/codecs/g711_tables.ts";
import { Baresip, type RtcpStats } from "../support/baresip.ts";
import { NAMESPACE_ADDRESS } from "../support/netns.ts";
import { type Heard, RtmpPhone } from "../support/rtmp_phone.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { measureTone, sineWave, speakSamples, type ToneReport } from "../support/tone.ts";

/** The script itself, for runInNamespace. */
export const SCENARIO_SCRIPT = import.meta.url;
/** What the user of the gateway speaks. */
export const USER_TONE_HZ = 433;
/** What baresip speaks. */
export const PHONE_TONE_HZ = 733;
/** Peak of both. */
export const TONE_PEAK = 8000;

/** What a call left behind at its two ends. */
export interface CallResult {
  readonly callbacks: readonly string[];
  /** At the user's end. */
  readonly toRtmp: ToneReport;
  /** Times of the messages heard: steps that are not 20 ms. */
  readonly unevenSteps: readonly number[];
  /** At baresip's end. */
  readonly toSip: ToneReport;
  /** Baresip's figures of what it got from us and what we reported to it. */
  readonly rtcp: RtcpStats;
  /** RTP packets the gateway sent, by its own count. */
  readonly sent: number;
  readonly usage: TestGateway["gateway"]["usage"];
  readonly log: string;
}

/** Blocks of 20 ms, each phase being about a second. */
export interface HoldResult extends CallResult {
  readonly heard: { before: number; held: number; after: number };
  readonly spoken: { total: number; held: number };
}

export interface DigitsResult {
  readonly atUser: readonly string[];
  readonly atPhone: readonly string[];
  readonly log: string;
}

const SIP_PORT = 5062;
const PHONE_PORT = 5070;
const TALK_SECONDS = 3;
const IMPURITY = 0.02;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const tone = (hz: number, seconds: number) => sineWave({ hz, peak: TONE_PEAK, seconds, sampleRate: 8000 });

interface Stage extends AsyncDisposable {
  readonly running: TestGateway;
  readonly user: RtmpPhone;
  /** How baresip reaches the user. */
  readonly uri: string;
  readonly phone: Baresip;
}

interface StageOptions {
  readonly codecs: string;
  readonly answers?: readonly string[];
  readonly family?: "ipv4" | "ipv6";
}

async function setStage(options: StageOptions): Promise<Stage> {
  const host = NAMESPACE_ADDRESS[options.family ?? "ipv4"];
  await using stack = new AsyncDisposableStack();
  const flags = { "int-ip": options.family === "ipv6" ? "::" : "0.0.0.0", "sip-port": String(SIP_PORT) };
  const running = stack.use(await startGateway(flags));
  const phone = stack.use(
    await Baresip.start({
      speaks: tone(PHONE_TONE_HZ, 20),
      codecs: options.codecs,
      listen: `${host}:${PHONE_PORT}`,
    }),
  );
  const url = running.url(`user@${host}`);
  const { answers } = options;
  const user = stack.use(await RtmpPhone.connect(answers === undefined ? { url } : { url, answers }));
  const rest = stack.move();
  const uri = `sip:user@${host}:${SIP_PORT}`;
  return { running, user, phone, uri, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

function userTone(heard: readonly Heard[], law: G711Law): ToneReport {
  const bodies = heard.filter((message) => message.type === 8).map((message) => message.body.subarray(1));
  const samples = new Int16Array(bodies.reduce((sum, body) => sum + body.length, 0));
  let at = 0;
  for (const body of bodies) at += decodeG711(law, body, samples.subarray(at));
  return measureTone(samples, { sampleRate: 8000, hz: PHONE_TONE_HZ, impurity: IMPURITY });
}

async function phoneTone(phone: Baresip): Promise<ToneReport> {
  const heard = await phone.heard();
  if (heard.length !== 1) throw new Error(`baresip kept ${heard.length} files\n${phone.output}`);
  return measureTone(heard[0]!, { sampleRate: 8000, hz: USER_TONE_HZ, impurity: IMPURITY });
}

function unevenSteps(heard: readonly Heard[]): number[] {
  const times = heard.filter((message) => message.type === 8).map((message) => message.timeMs);
  return times.slice(1).map((time, i) => time - times[i]!).filter((step) => step !== 20);
}

/** Waits until nothing of the call is left, a moment at most. */
async function quiet(running: TestGateway): Promise<TestGateway["gateway"]["usage"]> {
  for (let tries = 0; tries < 40 && running.gateway.usage.calls > 0; tries++) await pause(50);
  return running.gateway.usage;
}

async function resultOf(
  stage: Stage,
  call: { callbacks: readonly string[]; law: G711Law; rtcp: RtcpStats },
): Promise<CallResult> {
  const usage = await quiet(stage.running);
  const sent = /audio packets: (\d+) sent/.exec(stage.running.lines());
  return {
    callbacks: call.callbacks,
    rtcp: call.rtcp,
    sent: Number(sent?.[1]),
    toRtmp: userTone(stage.user.heard, call.law),
    unevenSteps: unevenSteps(stage.user.heard),
    toSip: await phoneTone(stage.phone),
    usage,
    log: `${stage.running.lines().slice(-12_000)}\n${stage.phone.output.slice(-4000)}`,
  };
}

/** Waits for these callbacks one after the other; each becomes "name(arguments)". */
async function expectAll(user: RtmpPhone, into: string[], ...names: readonly string[]): Promise<void> {
  for (const name of names) into.push(`${name}(${(await user.expect(name)).join(", ")})`);
}

/** The user dials baresip, both speak, the user hangs up. */
async function userCalls(law: G711Law, family: "ipv4" | "ipv6"): Promise<CallResult> {
  await using stage = await setStage({ codecs: "pcmu,pcma", family });
  const { user, phone } = stage;
  const callbacks: string[] = [];
  user.client.send("invite", phone.uri, law, "dtmf");
  await expectAll(user, callbacks, "accepted");
  await speakSamples(user.speaking, tone(USER_TONE_HZ, TALK_SECONDS), { law });
  await pause(200); // the last block is still on its way
  const rtcp = await phone.rtcpReport();
  user.client.send("bye");
  await phone.expect("CALL_CLOSED");
  return await resultOf(stage, { callbacks, law, rtcp });
}

/** Baresip dials the user, who answers; both speak; baresip hangs up. */
async function phoneCalls(
  law: G711Law,
  options: { transport?: "tcp"; family?: "ipv6" } = {},
): Promise<CallResult> {
  const { transport = "udp", ...rest } = options;
  await using stage = await setStage({ codecs: law, answers: ["pcmu", "pcma", "dtmf"], ...rest });
  const { user, phone } = stage;
  const callbacks: string[] = [];
  await phone.command("dial", `${stage.uri};transport=${transport}`);
  await expectAll(user, callbacks, "invited", "accepted");
  await phone.expect("CALL_ESTABLISHED");
  await speakSamples(user.speaking, tone(USER_TONE_HZ, TALK_SECONDS), { law });
  await pause(200); // the last block is still on its way
  const rtcp = await phone.rtcpReport();
  await phone.command("hangup");
  await expectAll(user, callbacks, "byed");
  return await resultOf(stage, { callbacks, law, rtcp });
}

/** One of the two holds a running call and resumes it; the user's tone never stops. */
async function holds(by: "user" | "phone"): Promise<HoldResult> {
  await using stage = await setStage({ codecs: "pcmu" });
  const { user, phone } = stage;
  const callbacks: string[] = [];
  user.client.send("invite", phone.uri, "pcmu", "dtmf");
  await expectAll(user, callbacks, "accepted");
  const stop = new AbortController();
  const spoken = { total: 0, held: 0 };
  const speaking = speakSamples(user.speaking, tone(USER_TONE_HZ, 20), {
    law: "pcmu",
    signal: stop.signal,
    onBlock: () => void spoken.total++,
  });
  const heardWithin = async (ms: number) => {
    const before = user.audio.length;
    await pause(ms);
    return user.audio.length - before;
  };
  const hold = async (on: boolean) => {
    if (by === "user") user.client.send("hold", on);
    else await phone.command(on ? "hold" : "resume");
    if (by === "phone") await expectAll(user, callbacks, "holded");
    spoken.held = spoken.total - spoken.held;
    await pause(300);
  };
  const before = await heardWithin(1000);
  await hold(true);
  const held = await heardWithin(1000);
  await hold(false);
  const after = await heardWithin(1000);
  stop.abort();
  await speaking;
  const rtcp = await phone.rtcpReport();
  user.client.send("bye");
  await phone.expect("CALL_CLOSED");
  return {
    ...await resultOf(stage, { callbacks, law: "pcmu", rtcp }),
    heard: { before, held, after },
    spoken,
  };
}

/** DTMF from each end to the other. */
async function digits(): Promise<DigitsResult> {
  await using stage = await setStage({ codecs: "pcmu" });
  const { user, phone } = stage;
  user.client.send("invite", phone.uri, "pcmu", "dtmf");
  await user.expect("accepted");
  await user.client.call("sendDTMF", "19*#");
  const atPhone: string[] = [];
  for (let i = 0; i < 4; i++) atPhone.push((await phone.expect("CALL_DTMF_START")).param ?? "");
  await phone.press("5#0");
  const atUser: string[] = [];
  for (let i = 0; i < 3; i++) atUser.push(String((await user.expect("receivedDTMF"))[0]));
  const log = `${stage.running.lines().slice(-12_000)}\n${phone.output.slice(-4000)}`;
  return { atUser, atPhone, log };
}

/** Every scenario by the name that is given on the command line. */
const SCENARIOS: Readonly<Record<string, () => Promise<CallResult | DigitsResult>>> = {
  "user calls, pcmu": () => userCalls("pcmu", "ipv4"),
  "user calls, pcma": () => userCalls("pcma", "ipv4"),
  "user calls, pcmu, IPv6": () => userCalls("pcmu", "ipv6"),
  "phone calls, pcmu, UDP": () => phoneCalls("pcmu"),
  "phone calls, pcma, UDP": () => phoneCalls("pcma"),
  "phone calls, pcmu, TCP": () => phoneCalls("pcmu", { transport: "tcp" }),
  "phone calls, pcma, IPv6": () => phoneCalls("pcma", { family: "ipv6" }),
  "user holds": () => holds("user"),
  "phone holds": () => holds("phone"),
  "digits": digits,
};

if (import.meta.main) {
  const play = SCENARIOS[Deno.args[0] ?? ""];
  if (play === undefined) throw new Error(`scenarios: ${Object.keys(SCENARIOS).join("; ")}`);
  const result = new TextEncoder().encode(JSON.stringify(await play()));
  await ReadableStream.from([result]).pipeTo(Deno.stdout.writable);
}
