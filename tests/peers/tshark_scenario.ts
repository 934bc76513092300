// What happens inside the network namespace of gateway_tshark_test.ts: calls through a gateway while tshark
// captures. `deno run -A tshark_scenario.ts NAME` prints what tshark saw, as JSON.

import { RtmpPhone } from "../support/rtmp_phone.ts";
import { startSipp } from "../support/sipp.ts";
import { startGateway } from "../support/test_gateway.ts";
import { sineWave, speakSamples } from "../support/tone.ts";
import { Capture } from "../support/tshark.ts";

/** The script itself, for runInNamespace. */
export const SCENARIO_SCRIPT = import.meta.url;
/** Blocks of 20 ms that a user speaks: long enough for two sender reports. */
export const SPOKEN = 450;

/** One packet. */
export type Row = Readonly<Record<string, string>>;

/** Fields by tshark's names; several values of one packet are joined by "|". */
export interface Seen {
  /** What tshark warns of, in any protocol. */
  readonly complaints: readonly Row[];
  /** Packets with data that are neither SIP nor RTP nor RTCP nor RTMP. */
  readonly unknown: readonly Row[];
  readonly sip: readonly Row[];
  readonly rtp: readonly Row[];
  readonly rtcp: readonly Row[];
  readonly rtmp: readonly Row[];
  readonly rtmpPort: number;
}

/** The last port is never used. */
const RTP_PORTS = { min: 10000, max: 10099 };

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** @param calls of two ports each; one call has the first two ports, whatever chance says */
async function capture(
  { sippPort, calls }: { sippPort: number | null; calls: number },
  play: (stage: Stage) => Promise<void>,
): Promise<Seen> {
  await using running = await startGateway({
    "rtp-ports": `${RTP_PORTS.min}-${RTP_PORTS.min + 2 * calls - 1}`,
  });
  const { sipPort, rtmp } = running.gateway;
  const sipPorts = sippPort === null ? [sipPort] : [sipPort, sippPort];
  await using tshark = await Capture.start({ sipPorts, rtmpPort: rtmp.port, rtpPorts: RTP_PORTS });
  await play({ url: running.url, sipPort });
  await pause(500); // the last packets are still on their way to the file
  await tshark.stop();
  return { ...await readCapture(tshark), rtmpPort: rtmp.port };
}

interface Stage {
  readonly url: (address: string) => string;
  readonly sipPort: number;
}

async function readCapture(tshark: Capture): Promise<Omit<Seen, "rtmpPort">> {
  const knock = `udp.dstport == ${RTP_PORTS.max}`;
  const known = "sip or rtp or rtcp or rtmpt";
  const byKernel = "tcp.analysis.flags"; // what TCP does about a slow machine is not ours
  return {
    complaints: await tshark.ask(`_ws.malformed or _ws.expert.severity >= 0x600000 and not ${byKernel}`, [
      "frame.number",
      "_ws.col.Protocol",
      "_ws.col.Info",
      "_ws.expert.message",
    ]),
    unknown: await tshark.ask(
      `(udp or tcp.len > 0) and not (${known}) and not ${knock} and not ${byKernel}`,
      [
        "frame.number",
        "_ws.col.Info",
      ],
    ),
    sip: await tshark.ask("sip", ["sip.Method", "sip.Status-Code", "sip.CSeq.method"]),
    rtp: await tshark.ask("rtp", [
      "frame.number",
      "udp.srcport",
      "udp.length",
      "rtp.ssrc",
      "rtp.seq",
      "rtp.timestamp",
      "rtp.marker",
      "rtp.p_type",
      "rtpevent.event_id",
      "rtpevent.end_of_event",
      "rtpevent.duration",
    ]),
    rtcp: await tshark.ask("rtcp", [
      "frame.number",
      "frame.time_epoch",
      "udp.srcport",
      "rtcp.pt",
      "rtcp.senderssrc",
      "rtcp.timestamp.ntp.msw",
      "rtcp.timestamp.ntp.lsw",
      "rtcp.timestamp.rtp",
      "rtcp.sender.packetcount",
      "rtcp.sender.octetcount",
      "rtcp.ssrc.identifier",
      "rtcp.ssrc.fraction",
      "rtcp.ssrc.cum_nr",
      "rtcp.ssrc.lsr",
      "rtcp.ssrc.dlsr",
      "rtcp.sdes.type",
    ]),
    rtmp: await tshark.ask("rtmpt", ["tcp.srcport", "tcp.dstport", "rtmpt.audio.format", "_ws.col.Info"]),
  };
}

const speech = () => sineWave({ hz: 733, peak: 8000, seconds: SPOKEN / 50, sampleRate: 8000 });

/** A user calls SIPp, which returns the audio. */
async function echoed(): Promise<Seen> {
  await using sipp = await startSipp({ scenario: "callee_echo", args: ["-rtp_echo"] });
  return await capture({ sippPort: sipp.port, calls: 1 }, async ({ url }) => {
    await using user = await RtmpPhone.connect({ url: url("user@127.0.0.1") });
    user.client.send("invite", `echo@127.0.0.1:${sipp.port}`, "pcmu", "dtmf");
    await user.expect("accepted");
    await speakSamples(user.speaking, speech(), { law: "pcmu" });
    await pause(200); // the last block is still on its way
    user.client.send("bye");
    const { ok, report } = await sipp.finished();
    if (!ok) throw new Error(report);
  });
}

/** SIPp calls a user. */
async function called(): Promise<Seen> {
  return await capture({ sippPort: null, calls: 1 }, async ({ url, sipPort }) => {
    await using user = await RtmpPhone.connect({ url: url("bob@127.0.0.1"), answers: ["pcmu"] });
    await using sipp = await startSipp({
      scenario: "caller",
      target: `127.0.0.1:${sipPort}`,
      service: "bob",
    });
    await user.expect("accepted");
    await speakSamples(user.speaking, speech().subarray(0, 8000), { law: "pcmu" });
    const { ok, report } = await sipp.finished();
    if (!ok) throw new Error(report);
  });
}

/** Two users of the gateway talk, with all that a call may have: DTMF, a message, hold. */
async function everything(): Promise<Seen> {
  return await capture({ sippPort: null, calls: 20 }, async ({ url, sipPort }) => {
    await using alice = await RtmpPhone.connect({ url: url("alice@127.0.0.1") });
    await using bob = await RtmpPhone.connect({
      url: url("bob@127.0.0.1"),
      answers: ["pcmu", "dtmf"],
      echo: true,
    });
    alice.client.send("invite", `bob@127.0.0.1:${sipPort}`, "pcmu", "dtmf");
    await alice.expect("accepted");
    await bob.expect("accepted");
    const speaking = speakSamples(alice.speaking, speech(), { law: "pcmu" });
    await alice.client.call("sendDTMF", "5#");
    await alice.client.call("sendMessage", "grüße");
    await alice.client.call("sendPagingMessage", `bob@127.0.0.1:${sipPort}`, "你好");
    await speaking;
    for (const on of [true, false]) {
      alice.client.send("hold", on);
      await bob.expect("holded");
    }
    alice.client.send("bye");
    await bob.expect("byed");
  });
}

/** Every scenario by the name that is given on the command line. */
const SCENARIOS: Readonly<Record<string, () => Promise<Seen>>> = { echoed, called, everything };

if (import.meta.main) {
  const play = SCENARIOS[Deno.args[0] ?? ""];
  if (play === undefined) throw new Error(`scenarios: ${Object.keys(SCENARIOS).join(", ")}`);
  const result = new TextEncoder().encode(JSON.stringify(await play()));
  await ReadableStream.from([result]).pipeTo(Deno.stdout.writable);
}
