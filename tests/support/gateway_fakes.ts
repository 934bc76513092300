// The surroundings of the call logic, scripted: a client that records its callbacks, media that record what was
// asked of them, a SIP user agent whose remote party is the test.
// Role: edge

import type { AmfValue } from "../../lib/amf/value.ts";
import { Mailbox, type MailboxReader } from "../../lib/base/mailbox.ts";
import type {
  AcceptedReport,
  AnswerOutcome,
  CallMedia,
  MediaFactory,
  MediaOpening,
  MediaOutcome,
  StreamRecord,
  TagSink,
  WatchOutlets,
} from "../../lib/call/call_media.ts";
import {
  type Agent,
  CallLeg,
  type CallServices,
  type CallShared,
  type CallState,
  type ClientLink,
} from "../../lib/call/leg.ts";
import type { MessageReply } from "../../lib/call/talk.ts";
import { CallRegistry, type RegisteredCall } from "../../lib/call/registry.ts";
import { seededRandom } from "../../lib/base/random.ts";
import type { Clock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { ALLOWED } from "../../lib/gateway/access/target_policy.ts";
import { defaultLiveLimits, LiveStreams } from "../../lib/live/streams.ts";
import type { MediaMessage } from "../../lib/rtmp/message.ts";
import type { NetStream } from "../../lib/rtmp/net_stream.ts";
import type { SipBody } from "../../lib/sip/message/body.ts";
import type { Call, CallEvent, EndedEvent, ReofferOutcome } from "../../lib/sip/ua/call.ts";
import type { Identity } from "../../lib/sip/ua/identity.ts";
import type { AcceptOutcome, Invitation } from "../../lib/sip/ua/invitation.ts";
import { type NameAddr, parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import type { RegisterOutcome } from "../../lib/sip/ua/registration.ts";
import type { RegistrationChange } from "../../lib/sip/ua/registration_keeper.ts";
import type { SipUri } from "../../lib/sip/message/uri.ts";
import type {
  Hop,
  IncomingMessage,
  InviteOptions,
  InviteProgress,
  Unreachable,
} from "../../lib/sip/ua/user_agent.ts";
import { FakeClock } from "./fake_clock.ts";
import { RecordLog } from "./record_log.ts";
import { identity, sdp, sdpText } from "./sip_network.ts";

/** A client that writes down its callbacks as text: `ringing("180 Ringing")`. */
export class RecordingLink implements ClientLink {
  /** Callbacks not taken yet. */
  readonly calls: string[] = [];
  /** What the client does inside a callback. */
  onCall: ((method: string) => void) | null = null;

  call(method: string, ...args: AmfValue[]): void {
    this.calls.push(callText(method, args));
    this.onCall?.(method);
  }

  /** The callbacks since the last take(). */
  take(): string[] {
    return this.calls.splice(0);
  }
}

function callText(method: string, args: readonly AmfValue[]): string {
  return `${method}(${args.map((arg) => JSON.stringify(arg)).join(", ")})`;
}

/** Writes down how an RPC was answered: `result(true)`, `error("480 ...")`. */
export class RecordingReply implements MessageReply {
  /** The answers, one at most if all is well. */
  readonly answers: string[] = [];

  result(...values: AmfValue[]): void {
    this.answers.push(callText("result", values));
  }

  error(_code: string, description: string): void {
    this.answers.push(callText("error", [description]));
  }
}

/** A stream of the client, with what was sent to it. */
export class RecordingStream {
  /** `started`, and tags as "8@20 b2ff". */
  readonly events: string[] = [];

  /** As the context sees it. */
  get net(): NetStream {
    return this as unknown as NetStream;
  }

  started(): void {
    this.events.push("started");
  }

  status(level: string, code: string, description: string): void {
    this.events.push(`${level} ${code} ${description}`);
  }

  send(type: number, timeMs: number, body: Uint8Array): boolean {
    this.events.push(`${type}@${timeMs} ${body.toHex()}`);
    return true;
  }
}

/**
 * Media that do nothing but write down what is asked of them. Descriptions are told apart by the text of sdp():
 * one with "bad" cannot be used, one with "hold" puts us on hold.
 */
export class RecordingMedia implements CallMedia {
  toRtmp: TagSink | null = null;
  onDigit: ((digit: string, durationMs: number) => void) | null = null;
  onKeyFrameWanted: (() => void) | null = null;
  onPictureWanted: (() => void) | null = null;
  onPublisherWarning: ((code: string, text: string, level: "error" | "warning") => void) | null = null;
  heldByRemote = false;
  /** What was asked: `answer bob`, `hold true`, `8@20`. */
  readonly log: string[] = [];
  /** What `accepted` will tell. */
  report: AcceptedReport = [];
  /** Whether the remote party takes DTMF. */
  takesDigits = true;
  /** Thrown by the next offer, answer or reading of one: a bug of ours. */
  bug: Error | null = null;
  disposed = false;
  #offers = 0;

  makeOffer(): SipBody {
    this.#fail();
    this.#offers++;
    this.log.push(`offer ${this.#offers}`);
    return sdp(`our offer ${this.#offers}`);
  }

  takeAnswer(answer: SipBody): MediaOutcome {
    return this.#take("answer", answer);
  }

  takeOffer(offer: SipBody): AnswerOutcome {
    const outcome = this.#take("offer", offer);
    return outcome.type === "none" ? outcome : { ...outcome, answer: sdp(`answer to ${sdpText(offer)}`) };
  }

  fromRtmp(message: MediaMessage): void {
    this.log.push(`${message.type}@${message.timeMs}`);
  }

  publisherChanged(): void {
    this.log.push("publisher changed");
  }

  playerChanged(): void {
    this.log.push("player changed");
  }

  keyFrameRequested(): void {
    this.log.push("key frame requested");
  }

  earlyMedia(): void {
    this.early = true;
  }

  /** Whether early media were begun. */
  early = false;

  /** What watches the peer's media. */
  watched: WatchOutlets | null = null;

  watch(outlets: WatchOutlets): void {
    this.watched = outlets;
  }

  setHold(on: boolean): void {
    this.log.push(`hold ${on}`);
  }

  sendDigits(digits: string, durationMs: number): boolean {
    this.log.push(`digits ${digits} ${durationMs}`);
    return this.takesDigits;
  }

  /** What is agreed. */
  agreed: readonly StreamRecord[] = [];

  streams(): readonly StreamRecord[] {
    return this.agreed;
  }

  /** Audio of the remote party arrives. */
  hear(timeMs: number): void {
    this.toRtmp?.play(8, timeMs, new Uint8Array(1));
  }

  summary(): string {
    return "nothing";
  }

  [Symbol.dispose](): void {
    this.disposed = true;
  }

  #take(what: string, body: SipBody): MediaOutcome {
    this.#fail();
    const text = sdpText(body) ?? "";
    this.log.push(`${what} ${text}`);
    if (text.includes("bad")) return { type: "none", reason: `"${text}" is bad` };
    this.heldByRemote = text.includes("hold");
    return { type: "agreed", report: this.report };
  }

  #fail(): void {
    const { bug } = this;
    this.bug = null;
    if (bug !== null) throw bug;
  }
}

/** Opens recording media. */
export class RecordingFactory implements MediaFactory {
  /** All media ever opened, oldest first. */
  readonly opened: RecordingMedia[] = [];
  /** `127.0.0.1 pcmu,dtmf` for each open(). */
  readonly asked: string[] = [];
  /** What the next open() gives instead of media. */
  refusal: Exclude<MediaOpening, { type: "open" }> | null = null;
  /** Prepares media before they are handed out. */
  prepare: ((media: RecordingMedia) => void) | null = null;

  open(localAddress: string, codecs: readonly string[]): MediaOpening {
    this.asked.push(`${localAddress} ${codecs.join(",")}`);
    if (this.refusal !== null) return this.refusal;
    const media = new RecordingMedia();
    this.opened.push(media);
    this.prepare?.(media);
    return { type: "open", media };
  }

  addressFacing(_offer: SipBody | null, hop: string): string {
    return hop;
  }

  withAddresses(description: SipBody): Promise<SipBody> {
    return Promise.resolve(description);
  }

  objection(offer: SipBody): string | null {
    return sdpText(offer)?.includes("impossible") ? 'peer has "g729", gateway has speex' : null;
  }

  /** The media opened last. */
  get last(): RecordingMedia {
    const media = this.opened.at(-1);
    if (media === undefined) throw new Error("no media were opened");
    return media;
  }

  /** Media that hold sockets now. */
  get openCount(): number {
    return this.opened.filter((media) => !media.disposed).length;
  }
}

/** A call whose remote party is the test. */
export class ScriptedCall {
  readonly id = "call-1";
  readonly remote: NameAddr = parseNameAddr("<sip:bob@10.0.0.2>");
  remoteBody: SipBody | null = sdp("bob");
  /** BYEs we sent. */
  hangUps = 0;
  /** While it is set, nobody answers our BYE. */
  byeAnswer: PromiseWithResolvers<void> | null = null;
  /** What our next offers become, in order; then accepted with "bob". */
  readonly reoffers: (ReofferOutcome | Promise<ReofferOutcome>)[] = [];
  /** Our offers. */
  readonly offered: (string | null)[] = [];
  /** Why we broke it off. */
  readonly failures: string[] = [];
  /** What we sent as MESSAGE. */
  readonly messages: string[] = [];
  /** How they are answered. */
  messageStatus = 200;
  readonly #events = new Mailbox<CallEvent>(32);
  #ending: EndedEvent | null = null;

  /** As the gateway sees it. */
  get call(): Call {
    return this as unknown as Call;
  }

  /** As Call.fail: the end is an event. */
  fail(reason: string): void {
    this.failures.push(reason);
    this.#ending = { type: "ended", by: "failure", reason };
    this.#events.end(this.#ending);
  }

  /** Something happens in the call. */
  emit(event: CallEvent): void {
    this.#events.push(event);
  }

  /** The remote party offers; gives what we say to it. */
  offer(body: SipBody | null): string[] {
    const said: string[] = [];
    this.emit({
      type: "offer",
      body,
      answer: (answer) => {
        said.push(`answer ${sdpText(answer)}`);
        return Promise.resolve(true);
      },
      refuse: (status, reason) => void said.push(`${status} ${reason}`),
    });
    return said;
  }

  /** The call is over. */
  end(by: EndedEvent["by"], reason = "hung up"): void {
    this.#ending ??= { type: "ended", by, reason };
    this.#events.close();
  }

  async *events(): AsyncGenerator<CallEvent, void, void> {
    yield* this.#events;
    if (this.#ending !== null) yield this.#ending;
  }

  async reoffer(body: SipBody): Promise<ReofferOutcome> {
    this.offered.push(sdpText(body));
    return await (this.reoffers.shift() ?? { type: "accepted", body: sdp("bob") });
  }

  /** What we sent as INFO: "application/dtmf-relay Signal=5...". */
  readonly infos: string[] = [];
  /** How they are answered. */
  infoStatus = 200;

  info(body: SipBody): Promise<number> {
    this.infos.push(`${body.type} ${new TextDecoder().decode(body.bytes)}`);
    return Promise.resolve(this.infoStatus);
  }

  message(body: SipBody): Promise<number> {
    this.messages.push(new TextDecoder().decode(body.bytes));
    return Promise.resolve(this.messageStatus);
  }

  async hangUp(): Promise<void> {
    if (this.#ending === null) this.hangUps++;
    this.end("local");
    await this.byeAnswer?.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.hangUp();
  }
}

/** An INVITE of the client, answered by the test. */
export interface ScriptedInvite {
  readonly to: NameAddr;
  readonly offer: SipBody | null;
  readonly signal: AbortSignal;
  /** What is different for this call. */
  readonly options: InviteOptions;
  /** Takes what the remote party says; a refusal or acceptance is the last. */
  readonly steps: Mailbox<InviteProgress>;
}

/** An INVITE for the client, by the test. */
export class ScriptedInvitation implements Invitation {
  readonly id = "invitation-1";
  readonly from: NameAddr;
  readonly to: NameAddr = parseNameAddr("<sip:alice@10.0.0.1>;tag=1");
  readonly offer: SipBody | null;
  readonly source = { localAddress: "10.0.0.1", remote: { hostname: "10.0.0.2", port: 5060 } };
  callerHeaders: Readonly<Record<string, string>> = {};
  /** What we said: `180`, `200 answer to x`, `488 Not Acceptable Here | 305 ...`. */
  readonly said: string[] = [];
  readonly #cancel = new AbortController();
  readonly #confirmed = Promise.withResolvers<AcceptOutcome>();

  constructor(offer: SipBody | null = sdp("bob"), from = '"Bob" <sip:bob@10.0.0.2>;tag=2') {
    this.offer = offer;
    this.from = parseNameAddr(from);
  }

  get cancelled(): AbortSignal {
    return this.#cancel.signal;
  }

  ring(): void {
    this.said.push("180");
  }

  accept(body: SipBody): Promise<AcceptOutcome> {
    this.said.push(`200 ${sdpText(body)}`);
    return this.#confirmed.promise;
  }

  refuse(status: number, reason: string, headers: Readonly<Record<string, string>> = {}): void {
    this.said.push([`${status} ${reason}`, ...Object.values(headers)].join(" | "));
  }

  /** The ACK arrives. */
  confirm(call: ScriptedCall): void {
    this.#confirmed.resolve({ type: "confirmed", call: call.call });
  }

  /** No ACK arrives. */
  fail(reason: string): void {
    this.#confirmed.resolve({ type: "failed", reason });
  }

  /** The caller gives up. */
  cancel(): void {
    this.#cancel.abort();
  }
}

/** A SIP user agent whose remote party is the test. */
export class ScriptedAgent implements Agent {
  readonly identity: Identity;
  /** Outcome of register(). */
  registerOutcome: RegisterOutcome = { type: "registered", expiresSeconds: 180 };
  /** Outcome of route(). */
  routeOutcome: Promise<Hop | Unreachable> = Promise.resolve({
    targets: [{ transport: "udp", endpoint: { hostname: "10.0.0.2", port: 5060 } }],
    localAddress: "10.0.0.1",
  });
  /** Hosts that were looked up. */
  readonly routed: string[] = [];
  /** Outcome of request(). */
  requestOutcome = { status: 200, reason: "OK" };
  /** Requests outside calls: `MESSAGE <sip:bob@10.0.0.2> hello`. */
  readonly requests: string[] = [];
  /** INVITEs so far. */
  readonly invites: ScriptedInvite[] = [];
  readonly registrationChanges = new Mailbox<RegistrationChange>(8);
  readonly incoming = new Mailbox<Invitation>(8);
  readonly incomingMessages = new Mailbox<IncomingMessage>(8);
  disposed = false;

  constructor(aor = "sip:alice@example.com", password: string | null = null) {
    this.identity = identity(aor, password);
  }

  register(): Promise<RegisterOutcome> {
    return Promise.resolve(this.registerOutcome);
  }

  registrations(): MailboxReader<RegistrationChange> {
    return this.registrationChanges[Symbol.asyncIterator]();
  }

  route(uri: SipUri): Promise<Hop | Unreachable> {
    this.routed.push(uri.host);
    return this.routeOutcome;
  }

  async *invite(
    to: NameAddr,
    offer: SipBody | null,
    signal: AbortSignal,
    options: InviteOptions = {},
  ): AsyncGenerator<InviteProgress, void, void> {
    const steps = new Mailbox<InviteProgress>(32);
    this.invites.push({ to, offer, signal, steps, options });
    options.onCallId?.(`call-${this.invites.length}`);
    signal.addEventListener("abort", () => {
      steps.push({ type: "refused", status: 487, reason: "Request Terminated", warning: null });
      steps.close();
    });
    for await (const step of steps) {
      yield step;
      if (step.type === "accepted" || step.type === "refused") return;
    }
  }

  invitations(): MailboxReader<Invitation> {
    return this.incoming[Symbol.asyncIterator]();
  }

  request(method: string, to: NameAddr, body: SipBody | null): Promise<{ status: number; reason: string }> {
    const text = body === null ? "" : new TextDecoder().decode(body.bytes);
    this.requests.push(`${method} ${to.uri.user}@${to.uri.host} ${text}`);
    return Promise.resolve(this.requestOutcome);
  }

  messages(): MailboxReader<IncomingMessage> {
    return this.incomingMessages[Symbol.asyncIterator]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    this.registrationChanges.close();
    this.incoming.close();
    this.incomingMessages.close();
    return Promise.resolve();
  }
}

/** What the calls of all clients share, with everything allowed; tests change its parts. */
export function callShared(clock: Clock, more: Partial<CallShared> = {}): Writable<CallShared> {
  return {
    clock,
    calls: new CallRegistry({ clock, random: seededRandom(1) }),
    admission: { refusal: () => null, retryAfterSeconds: () => 10 },
    access: { mayCall: () => ALLOWED, mayDial: () => ALLOWED },
    streams: new LiveStreams(defaultLiveLimits, { clock, log: silentLog }),
    config: { dialPlan: [], dtmf: "auto", redirect: true },
    ...more,
  };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** A registry on a clock that stands still. */
export function scriptedCalls(): CallRegistry {
  return new CallRegistry({ clock: new FakeClock(), random: seededRandom(1) });
}

/** A call for a state that a test makes up. */
export function registeredCall(): RegisteredCall {
  const [remote, local] = [parseNameAddr("<sip:bob@10.0.0.2>"), "sip:alice@10.0.0.1"];
  const start = { direction: "out", account: null, remote, local } as const;
  return scriptedCalls().register({ ...start, rtmp: () => null, hangUp: () => {} });
}

/** A leg and its owner, without the rest of a Context. */
export class ScriptedOwner extends CallLeg {
  declare readonly link: RecordingLink;
  declare readonly agent: ScriptedAgent;
  declare readonly log: RecordLog;
  readonly clock: FakeClock;
  readonly factory: RecordingFactory;
  /** What its calls share. */
  readonly shared: ReturnType<typeof callShared>;
  /** What reached the player: "8@20". */
  readonly played: string[];
  /** How often the publisher was to send a key frame. */
  keyFramesWanted = 0;
  /** Whether early media went to nobody. */
  missed = false;
  /** What the publisher was told: status codes. */
  readonly troubles: string[] = [];

  constructor(agent = new ScriptedAgent(), more: Partial<CallServices> = {}) {
    const [clock, log, media] = [new FakeClock(), new RecordLog("debug"), new RecordingFactory()];
    const played: string[] = [];
    const shared = callShared(clock);
    super({
      player: null,
      rtmpPeer: null,
      play: (type, timeMs) => void played.push(`${type}@${timeMs}`),
      takeMissed: () => this.missed,
      stateChanged: () => {},
    }, {
      link: new RecordingLink(),
      agent,
      services: { shared, log, media, ...more },
    });
    this.clock = clock;
    this.shared = shared;
    this.factory = media;
    this.played = played;
    this.publisher = { status: (_level, code, text) => this.#told(code, text) };
  }

  /** Where its calls are listed. */
  get calls(): CallRegistry {
    return this.services.shared.calls;
  }

  /** Whatever it does, it does this now. */
  become(state: CallState): void {
    this.advance(this.state, state);
  }

  #told(code: string, text: string): void {
    if (code === "NetStream.Publish.KeyFrameWanted") this.keyFramesWanted++;
    else if (code.startsWith("NetStream.Call.")) this.link.call("trouble", code, text);
    else this.troubles.push(code);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
    await this.scope.close();
  }
}
