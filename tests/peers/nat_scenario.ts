// What happens outside of the NAT of nat_gateway_test.ts: a real baresip, an RTMP user, and tshark, which sees what the
// gateway behind the NAT tells the world. `deno run -A nat_scenario.ts NAME` prints it as JSON.

import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { textBody } from "../../lib/sip/message/body.ts";
import { SipEndpoint } from "../../lib/sip/ua/endpoint.ts";
import { parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import { parseSipUri } from "../../lib/sip/message/uri.ts";
import { decodeG711 } from "../../lib/codecs/g711_tables.ts";
import { Baresip } from "../support/baresip.ts";
import { Capture, INSIDE, NatProgram, OUTSIDE, PUBLIC, startInside } from "../support/nat_network.ts";
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

/** What a user agent behind the NAT learnt of itself and told. */
export interface AutoResult {
  /** Addresses in the answers of the STUN server; its own is among them. */
  readonly learnt: readonly string[];
  /** Of the REGISTER. */
  readonly via: readonly string[];
  readonly contact: readonly string[];
  /** Status of a MESSAGE to the user by way of the registrar; 0: none was sent. */
  readonly message: number;
  /** STUN on the SIP ports, as Wireshark reads it. */
  readonly keepAlives: { readonly requests: number; readonly answers: number; readonly malformed: number };
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
  await using stunServer = options === AUTO ? await startStunServer() : null;
  await using capture = await Capture.start();
  await using gateway = startInside("main.ts", [
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
  const log = `${stunServer?.output.slice(-1000) ?? ""}\n${gateway.output.slice(-12_000)}\n${
    phone.output.slice(-4000)
  }`;
  return { callbacks, toRtmp, toSip, ...await seen(capture), log };
}

const TOLD = ["-e", PUBLIC];
const AUTO = ["-e", "auto", "--stun-server", OUTSIDE];

const STUN_PORT = 3478;
const REGISTRAR = `${OUTSIDE}:5060`;

/** Outside: a registrar that speaks STUN on its SIP port. */
async function startKamailio(): Promise<NatProgram> {
  const folder = await Deno.makeTempDir();
  const config = new URL("config/kamailio_nat.cfg", import.meta.url).pathname;
  const places = ["-Y", folder, "-w", folder, "-P", `${folder}/pid`];
  const kamailio = new NatProgram("kamailio", [
    ...["-DD", "-E", "-f", config, "-A", `SIP_ADDRESS=${REGISTRAR}`],
    ...[...places, "-m", "64", "-M", "8"],
  ]);
  for (let tries = 0;; tries++) {
    try {
      (await Deno.connect({ hostname: OUTSIDE, port: 5060 })).close();
      return kamailio;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused) || tries === 100) {
        throw new Error(kamailio.output, { cause: error });
      }
      await pause(50);
    }
  }
}

/** Outside: coturn as a STUN server. */
async function startStunServer(): Promise<NatProgram> {
  const off = ["--no-tls", "--no-dtls", "--no-cli"];
  const server = new NatProgram("turnserver", [
    ...["-S", "-n", "-L", OUTSIDE, "-p", `${STUN_PORT}`],
    ...[...off, "--log-file", "stdout", "--pidfile", `${await Deno.makeTempDir()}/pid`],
  ]);
  await server.says(/Total General servers/);
  return server;
}

/** The user of nat_auto_agent.ts registers, gets keep-alives through, and a message by way of the registrar. */
async function auto(answers: boolean): Promise<AutoResult> {
  await using capture = await Capture.start();
  await using stack = new AsyncDisposableStack();
  stack.use(await startKamailio());
  if (answers) stack.use(await startStunServer());
  const agent = stack.use(
    startInside("tests/peers/nat_auto_agent.ts", [`${OUTSIDE}:${STUN_PORT}`, REGISTRAR]),
  );
  await agent.says(/registered: (\w+)/);
  await pause(3_000); // some keep-alives
  const message = answers ? await sendMessage() : 0;
  await capture.stop();
  const register = `ip.src == ${PUBLIC} && sip.Method == "REGISTER"`;
  const keepAlive = "stun && udp.port == 5060";
  return {
    learnt: await capture.fields(`stun.type == 0x0101 && udp.port == ${STUN_PORT}`, "stun.att.ipv4"),
    via: await capture.fields(register, "sip.Via.sent-by.address"),
    contact: await capture.fields(register, "sip.contact.host"),
    message,
    keepAlives: {
      requests: await capture.count(`${keepAlive} && stun.type == 0x0001`),
      answers: await capture.count(`${keepAlive} && stun.type == 0x0101`),
      malformed: await capture.count("stun && _ws.malformed"),
    },
    log: agent.output,
  };
}

/** From outside to the user inside, through the registrar and the NAT. */
async function sendMessage(): Promise<number> {
  const environment = { clock: systemClock, log: silentLog, random: systemRandom, dns: systemDns };
  await using endpoint = SipEndpoint.open({
    bind: OUTSIDE,
    port: 5090,
    portFallback: false,
    addresses: { addressFor: () => OUTSIDE },
    outboundProxy: null,
    userAgent: "outside",
    expiresSeconds: 60,
  }, environment);
  const bob = endpoint.createUserAgent(
    { aor: parseSipUri(`sip:bob@${OUTSIDE}`), displayName: null, username: null, password: null },
  );
  const to = parseNameAddr(`sip:alice@${REGISTRAR}`);
  return (await bob.request("MESSAGE", to, textBody("hello inside"), new AbortController().signal)).status;
}

/** Every scenario by the name that is given on the command line. */
const SCENARIOS: Readonly<Record<string, () => Promise<NatResult | AutoResult>>> = {
  "user calls": () => call("user", TOLD),
  "phone calls": () => call("phone", TOLD),
  "user calls, auto": () => call("user", AUTO),
  "user calls, nothing told": () => call("user", []),
  "auto": () => auto(true),
  "auto, nobody answers": () => auto(false),
};

if (import.meta.main) {
  const play = SCENARIOS[Deno.args[0] ?? ""];
  if (play === undefined) throw new Error(`scenarios: ${Object.keys(SCENARIOS).join("; ")}`);
  const result = new TextEncoder().encode(JSON.stringify(await play()));
  await ReadableStream.from([result]).pipeTo(Deno.stdout.writable);
}
