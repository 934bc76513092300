// What happens outside of the NAT of nat_gateway_test.ts: a real baresip, an RTMP user, and tshark, which sees what the
// gateway on the other side of the NAT tells the world. `deno run -A nat_scenario.ts NAME` prints it as JSON.

import { decodeG711 } from "../../lib/media/g711.ts";
import { Baresip } from "../support/baresip.ts";
import { Capture, INSIDE, InsideProgram, OUTSIDE, PUBLIC } from "../support/nat_network.ts";
import { type Heard, RtmpPhone } from "../support/rtmp_phone.ts";
import { measureTone, sineWave, speakSamples, type ToneReport } from "../support/tone.ts";

/** The script itself, for runOutsideNat. */
export const SCENARIO_SCRIPT = import.meta.url;
/** What the user of the gateway speaks. */
export const USER_TONE_HZ = 433;
/** What baresip speaks. */
export const PHONE_TONE_HZ = 733;

/** What was told and heard. */
export interface NatResult {
  readonly callbacks: readonly string[];
  /** At the user's end, and at baresip's. */
  readonly toRtmp: ToneReport;
  readonly toSip: ToneReport;
  /** What the gateway wrote: sent-by of its Via, host of its Contact, c= of its SDP, each once. */
  readonly via: readonly string[];
  readonly contact: readonly string[];
  readonly connection: readonly string[];
  /** Packets in which the private address can be read. */
  readonly leaks: number;
  /** Packets from and to other addresses than the public one and the phone's. */
  readonly strays: number;
  /** RTP packets, each way. */
  readonly rtp: { readonly fromGateway: number; readonly toGateway: number };
  readonly log: string;
}

const SIP_PORT = 5062;
const RTMP_PORT = 1935;
const PHONE = `${OUTSIDE}:5070`;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const tone = (hz: number, seconds: number) => sineWave({ hz, peak: 8000, seconds, sampleRate: 8000 });

async function userTone(heard: readonly Heard[]): Promise<ToneReport> {
  const bodies = heard.filter(({ type }) => type === 8).map(({ body }) => body.subarray(1));
  const samples = new Int16Array(bodies.reduce((sum, body) => sum + body.length, 0));
  let at = 0;
  for (const body of bodies) at += decodeG711("pcmu", body, samples.subarray(at));
  return await Promise.resolve(measureTone(samples, { sampleRate: 8000, hz: PHONE_TONE_HZ, impurity: 0.02 }));
}

async function phoneTone(phone: Baresip): Promise<ToneReport> {
  const [samples = new Int16Array(0)] = await phone.heard();
  return measureTone(samples, { sampleRate: 8000, hz: USER_TONE_HZ, impurity: 0.02 });
}

async function seen(capture: Capture): Promise<Omit<NatResult, "callbacks" | "toRtmp" | "toSip" | "log">> {
  await capture.stop();
  const ours = `ip.src == ${PUBLIC}`;
  return {
    via: await capture.fields(`${ours} && sip.Request-Line`, "sip.Via.sent-by.address"),
    contact: await capture.fields(`${ours} && sip`, "sip.contact.host"),
    connection: await capture.fields(`${ours} && sdp`, "sdp.connection_info.address"),
    leaks: await capture.count(`frame contains "${INSIDE}"`),
    strays: await capture.count(`ip && !(ip.addr == ${PUBLIC} && ip.addr == ${OUTSIDE})`),
    rtp: {
      fromGateway: await capture.count(
        `${ours} && udp.dstport >= 41000 && udp.dstport <= 41100 && udp.length > 170`,
      ),
      toGateway: await capture.count(
        `ip.dst == ${PUBLIC} && udp.srcport >= 41000 && udp.srcport <= 41100 && udp.length > 170`,
      ),
    },
  };
}

/** One call, both speak for 2 seconds. */
async function call(by: "user" | "phone", options: readonly string[]): Promise<NatResult> {
  await using capture = await Capture.start();
  await using gateway = new InsideProgram("main.ts", [
    ...["-d", "-l", INSIDE, "-p", `${RTMP_PORT}`, "--sip-port", `${SIP_PORT}`, "--rtp-ports", "20000-20100"],
    ...options,
  ]);
  await gateway.says(/RTMP clients connect to/);
  await using phone = await Baresip.start({ speaks: tone(PHONE_TONE_HZ, 20), codecs: "pcmu", listen: PHONE });
  const url = `rtmp://${PUBLIC}:${RTMP_PORT}/sip/user@${PUBLIC}`;
  await using user = await RtmpPhone.connect({ url, answers: ["pcmu"] });
  const callbacks: string[] = [];
  const expect = async (name: string) => {
    try {
      callbacks.push(`${name}(${(await user.expect(name)).join(", ")})`);
    } catch (error) {
      throw new Error(gateway.output.slice(-8_000), { cause: error });
    }
  };
  if (by === "user") user.client.send("invite", phone.uri, "pcmu");
  else {
    await phone.command("dial", `sip:user@${PUBLIC}:${SIP_PORT}`);
    await expect("invited");
  }
  await expect("accepted");
  await speakSamples(user.speaking, tone(USER_TONE_HZ, 2), { law: "pcmu" });
  await pause(200); // the last block is still on its way
  user.client.send("bye");
  await phone.expect("CALL_CLOSED");
  const [toRtmp, toSip] = [await userTone(user.heard), await phoneTone(phone)];
  const log = `${gateway.output.slice(-12_000)}\n${phone.output.slice(-4000)}`;
  return { callbacks, toRtmp, toSip, ...await seen(capture), log };
}

const TOLD = ["-e", PUBLIC];

/** Every scenario by the name that is given on the command line. */
const SCENARIOS: Readonly<Record<string, () => Promise<NatResult>>> = {
  "user calls": () => call("user", TOLD),
  "phone calls": () => call("phone", TOLD),
  "user calls, nothing told": () => call("user", []),
};

if (import.meta.main) {
  const play = SCENARIOS[Deno.args[0] ?? ""];
  if (play === undefined) throw new Error(`scenarios: ${Object.keys(SCENARIOS).join("; ")}`);
  const result = new TextEncoder().encode(JSON.stringify(await play()));
  await ReadableStream.from([result]).pipeTo(Deno.stdout.writable);
}
