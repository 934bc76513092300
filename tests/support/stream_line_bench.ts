// A stream line whose remote party, media and clock are the test's.
// Role: machine

import type { AmfValue } from "../../lib/amf/value.ts";
import { seededRandom } from "../../lib/base/random.ts";
import type { CallServices, ClientLink } from "../../lib/call/leg.ts";
import { CallRegistry, type RtmpPeer } from "../../lib/call/registry.ts";
import type { SipAccount } from "../../lib/config/accounts.ts";
import { StreamClient } from "../../lib/gateway/apps/stream_client.ts";
import { defaultLiveLimits, LiveStreams } from "../../lib/live/streams.ts";
import type { MediaMessage } from "../../lib/rtmp/message.ts";
import { FakeClock, settle } from "./fake_clock.ts";
import {
  callShared,
  RecordingFactory,
  RecordingLink,
  RecordingStream,
  ScriptedAgent,
  ScriptedCall,
  type ScriptedInvite,
} from "./gateway_fakes.ts";
import { KeepingSink } from "./live_sink.ts";
import { RecordLog } from "./record_log.ts";
import { sdp } from "./sip_network.ts";

/** An account with everything at its default. */
export function sipAccount(more: Partial<SipAccount> = {}): SipAccount {
  return {
    name: "desk",
    identity: new ScriptedAgent("sip:desk@10.0.0.1").identity,
    register: false,
    codecs: [],
    key: null,
    answer: "no",
    waiting: "silence",
    onBusy: null,
    answerTimeoutSeconds: 60,
    redial: { attempts: 0, firstDelaySeconds: 5 },
    maxDurationSeconds: 0,
    ...more,
  };
}

/** A media message from its hexadecimal body. */
export function message(type: 8 | 9 | 18, timeMs: number, hex: string): MediaMessage {
  return { type, timeMs, body: Uint8Array.fromHex(hex) };
}

/** Everything around a line. */
export class LineBench {
  readonly clock = new FakeClock(1000);
  readonly log = new RecordLog("info");
  readonly random = seededRandom(1);
  readonly agent = new ScriptedAgent("sip:desk@10.0.0.1");
  readonly factory = new RecordingFactory();
  readonly link = new RecordingLink();
  readonly streams = new LiveStreams(defaultLiveLimits, this);
  /** The publisher's stream. */
  readonly publisher = new RecordingStream();
  /** What its calls share. */
  readonly shared = callShared(this.clock, { calls: new CallRegistry(this), streams: this.streams });
  readonly calls = this.shared.calls;
  /** The RTMP client of its calls. */
  rtmpPeer: RtmpPeer | null = null;
  readonly services: CallServices = {
    shared: this.shared,
    log: this.log,
    media: this.factory,
  };
  readonly #lines: StreamClient[] = [];

  /** A line of the account. */
  openClient(link: ClientLink = this.link, rtmpPeer = () => this.rtmpPeer): StreamClient {
    const remote = { streams: this.streams, path: "call/desk/100" };
    const line = new StreamClient({
      link,
      agent: this.agent,
      services: this.services,
      remote,
      rtmpPeer,
    });
    this.#lines.push(line);
    return line;
  }

  /** Somebody who plays the remote party. */
  player(path = "call/desk/100"): KeepingSink {
    const sink = new KeepingSink();
    this.streams.play(path, sink);
    return sink;
  }

  /** The INVITE sent last. */
  get invite(): ScriptedInvite {
    const invite = this.agent.invites.at(-1);
    if (invite === undefined) throw new Error("nobody was called");
    return invite;
  }

  /** The remote party answers. */
  async accept(): Promise<ScriptedCall> {
    const call = new ScriptedCall();
    await settle();
    this.invite.steps.push({ type: "accepted", call: call.call });
    await settle();
    return call;
  }

  /** The remote party rings. */
  async ring(): Promise<void> {
    await settle();
    this.invite.steps.push({ type: "progress", status: 180, reason: "Ringing", body: null });
    await settle();
  }

  /** The remote party refuses. */
  async refuse(status: number, reason: string): Promise<void> {
    await settle();
    this.invite.steps.push({ type: "refused", status, reason, warning: null });
    await settle();
  }

  /** A description of the remote party, for early media. */
  async early(): Promise<void> {
    await settle();
    this.invite.steps.push({ type: "progress", status: 183, reason: "Session Progress", body: sdp("bob") });
    await settle();
  }

  /** Ends the lines; nothing may be left of them. */
  async close(): Promise<string[]> {
    await Promise.all(this.#lines.map((line) => line[Symbol.asyncDispose]()));
    const left: string[] = [];
    if (this.clock.pending > 0) left.push(`${this.clock.pending} timers`);
    if (this.factory.openCount > 0) left.push(`${this.factory.openCount} media`);
    if (this.streams.usage.publishers > 0) left.push("a publication");
    if (this.log.lines.some((line) => line.startsWith("error"))) left.push(this.log.lines.join("\n"));
    return left;
  }
}

/** Values as a test writes them. */
export function text(values: readonly AmfValue[]): string {
  return values.map((value) => JSON.stringify(value)).join(", ");
}
