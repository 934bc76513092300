// One RTMP client and its SIP user agent: commands of the client become calls, events of the calls become
// callbacks. Everything it runs is in its scope; the coroutines of a call are in outgoing, incoming, talking.
// Role: edge

import type { AmfValue } from "../amf/value.ts";
import type { Logger } from "../base/log.ts";
import { Scope } from "../base/scope.ts";
import { createStatus } from "../rtmp/command.ts";
import type { RtmpEvent } from "../rtmp/event.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { NetStream } from "../rtmp/net_stream.ts";
import { formatFailover } from "../sip/transaction/client_outlets.ts";
import type { Invitation } from "../sip/ua/invitation.ts";
import { reasonPhrase } from "../sip/message/reason_phrase.ts";
import type { RegisterOutcome } from "../sip/ua/registration.ts";
import type { RegistrationChange } from "../sip/ua/registration_keeper.ts";
import type { CallMedia, TroubleLevel } from "../call/call_media.ts";
import { type ClientCommand, parseCommand } from "./commands.ts";
import { answer, invited } from "../call/incoming.ts";
import {
  type Agent,
  type ClientLink,
  type ContextServices,
  IDLE,
  type Line,
  type LineOwner,
  statusText,
  withAddresses,
} from "../call/line.ts";
import {
  type CommandReply,
  receivedPagingMessage,
  sendMessage,
  sendPagingMessage,
} from "../call/messages.ts";
import { dial } from "../call/outgoing.ts";
import { DECLINE, hangUp, UNAVAILABLE } from "../call/hang_up.ts";
import { PublisherConfigs } from "../call/publisher_configs.ts";
import { isSound, publisherCodecs, type UrlDial } from "./apps/url_dial.ts";

/** Most tasks of one client, each a command that waits for the far end; a call is one. */
const MAX_WAITING = 64;

/** What a client may always do. */
const ENDING_COMMANDS: readonly string[] = ["bye", "reject"];

export class Context implements LineOwner, AsyncDisposable {
  /** The client's callbacks. */
  readonly link: ClientLink;
  /** The client's SIP side. */
  readonly agent: Agent;
  /** Shared parts of the gateway. */
  readonly services: ContextServices;
  /** Everything this client runs. */
  readonly scope: Scope;
  /** Where this client's lines are logged. */
  readonly log: Logger;
  #line: Line = IDLE;
  #playing: NetStream | null = null;
  #missed = false;
  #publishing: NetStream | null = null;
  readonly #configs = new PublisherConfigs();
  readonly #takesCalls: boolean;
  #toDial: UrlDial | null;

  /** Nothing runs until start(). @param dialByUrl whom to call as soon as there is media; null: the client dials */
  constructor(link: ClientLink, agent: Agent, services: ContextServices, dialByUrl: UrlDial | null = null) {
    this.#toDial = dialByUrl;
    this.#takesCalls = dialByUrl === null;
    this.link = link;
    this.agent = agent;
    this.services = services;
    this.log = services.log;
    this.scope = new Scope("client", { log: services.log });
  }

  /** The line's present state. */
  get line(): Line {
    return this.#line;
  }

  /** Registers when the client gave a password; without one only calls straight to our port reach it. */
  async register(signal: AbortSignal): Promise<RegisterOutcome | { type: "not needed" }> {
    if (!this.agent.identity.password) return { type: "not needed" };
    return await this.agent.register(signal, (notice) => {
      const status = createStatus("status", "NetConnection.Connect.Trying", formatFailover(notice));
      this.link.call("onStatus", status);
    });
  }

  /** Takes calls, messages and changes of the registration from now on; nothing waits for them meanwhile. */
  start(): void {
    this.agent.invitations().handTo((invitation) => this.#run("invitation", () => this.#invited(invitation)));
    this.agent.registrations().handTo((change) => this.#run("registration", () => this.#registered(change)));
    this.agent.messages().handTo((message) =>
      this.#run("message", () => receivedPagingMessage(this, message))
    );
  }

  /** What it throws is our bug, and no business of whoever brought the news. */
  #run(task: string, run: () => void): void {
    this.scope.spawn(task, () => Promise.resolve(run()));
  }

  #registered(change: RegistrationChange): void {
    if (change.type === "registered") this.link.call("registered", change.expiresSeconds);
    else this.link.call("unregistered", statusText(change.status, change.reason));
  }

  /** A program that dialled by URL cannot answer. */
  #invited(invitation: Invitation): void {
    if (this.#takesCalls) invited(this, invitation);
    else invitation.refuse(480, "Temporarily Unavailable");
  }

  /** Handles one event of the RTMP connection; never waits. */
  rtmpEvent(event: RtmpEvent): void {
    switch (event.type) {
      case "command":
        return this.#rtmpCommand(event.name, event.args, event.reply);
      case "publish":
        this.#publishing = event.stream;
        this.#configs.forget();
        if (this.#line.state === "talking") this.#line.media.publisherChanged();
        return event.stream.started();
      case "play":
        this.#playing = event.stream;
        event.stream.started();
        if (this.#line.state === "talking") this.#line.media.playerChanged();
        else this.#missed = true;
        return this.#dialByUrl(this.#toDial?.playerCodecs ?? []);
      case "ended":
        if (event.stream === this.#publishing) this.#publishing = null;
        if (event.stream === this.#playing) this.#playing = null;
        return;
      case "pause":
      case "seek":
      case "receive":
        return; // a call is live: the stream itself stops and resumes what it sends
    }
  }

  /** One media message of the publisher; synchronous, borrowed bytes. */
  rtmpMedia(stream: NetStream, message: MediaMessage): void {
    if (stream !== this.#publishing) return;
    this.#configs.note(message);
    const line = this.#line;
    if (line.state === "talking") {
      line.media.fromRtmp(message);
      line.broadcast?.near(message.type, message.timeMs, message.body);
    } else if (this.#toDial !== null && isSound(message)) {
      const codecs = publisherCodecs(message.body);
      this.#dialByUrl(codecs.length > 0 && this.#configs.hasVideo ? [...codecs, "h264"] : codecs);
    }
  }

  #dialByUrl(codecs: readonly string[]): void {
    const wanted = this.#toDial;
    this.#toDial = null;
    if (wanted === null) return;
    if (codecs.length > 0) {
      this.link.call("dialing", wanted.destination);
      return dial(this, wanted.destination, codecs);
    }
    const text = "this kind of audio cannot be carried in a call: send AAC, Opus, Speex or G.711";
    this.log.warn(text);
    this.publisherTrouble("NetStream.Publish.UnsupportedCodec", text, "error");
    this.link.call("rejected", "488 Not Acceptable Here");
  }

  /** Tags for whichever stream the client plays now: the outlet of every call's media. */
  play(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    if (this.#playing === null) this.#missed = true;
    else this.#playing.send(type, timeMs, body);
  }

  takeMissed(): boolean {
    const missed = this.#missed;
    this.#missed = false;
    return missed;
  }

  /** Decoder configurations are sent once, often before the call: they are kept for calls to come. */
  primeMedia(media: CallMedia): void {
    this.#configs.prime(media);
  }

  /** Encoders that listen (OBS does not) answer this status with a key frame. */
  keyFrameWanted(): void {
    const text = "the far end lost its picture: send a key frame";
    this.#publishing?.status("status", "NetStream.Publish.KeyFrameWanted", text);
  }

  /** What it can change: B frames, its profile, its audio codec. Programs like ffmpeg show only errors. */
  publisherTrouble(code: string, text: string, level: TroubleLevel = "warning"): void {
    this.#publishing?.status(level, code, text);
  }

  /** A client that only plays hears of it as well. */
  callTrouble(code: string, text: string): void {
    (this.#publishing ?? this.#playing)?.status("warning", code, text);
  }

  /** Replaces `from` by `to`; false when something else holds the line by now. */
  advance(from: Line, to: Line): boolean {
    if (this.#line !== from) return false;
    if (from === IDLE) this.#missed = false;
    this.#line = to;
    return true;
  }

  #rtmpCommand(name: string, args: readonly AmfValue[], reply: CommandReply): void {
    const parsed = parseCommand(name, args);
    if (parsed.type === "refused") return reply.error("NetConnection.Call.Failed", parsed.reason);
    if (this.scope.size > MAX_WAITING && !ENDING_COMMANDS.includes(parsed.command.name)) {
      return reply.error("NetConnection.Call.Failed", "too many commands are waiting for the other side");
    }
    this.#perform(parsed.command, reply);
  }

  #perform(command: ClientCommand, reply: CommandReply): void {
    switch (command.name) {
      case "sendDTMF":
        return this.#sendDigits(command.digits, command.durationMs, reply);
      case "sendMessage":
        return this.#sendMessage(command.text, reply);
      case "sendPagingMessage":
        return sendPagingMessage(this, command.destination, command.text, reply);
    }
    reply.result();
    switch (command.name) {
      case "invite":
        return dial(this, command.destination, command.codecs);
      case "accept":
        return answer(this, command.codecs);
      case "reject":
        return this.#reject(command.status, command.reason || reasonPhrase(command.status));
      case "bye":
        return hangUp(this, DECLINE);
      case "hold":
        return this.#hold(command.on);
    }
  }

  #reject(status: number, reason: string): void {
    if (this.#line.state === "alerting") hangUp(this, { status, reason });
  }

  #hold(on: boolean): void {
    const line = this.#line;
    if (line.state !== "talking") return;
    const { call, media } = line;
    media.setHold(on);
    const offer = media.makeOffer();
    this.scope.spawn("hold", async () => {
      const outcome = await call.reoffer(offer);
      if (this.#line !== line) return; // the call is over, and its media
      if (outcome.type === "refused") {
        media.setHold(!on);
        this.log.warn(`the other side refused the hold: ${outcome.status} ${outcome.reason}`);
      } else if (outcome.body !== null) {
        const answer = await withAddresses(this, outcome.body);
        if (media.takeAnswer(answer).type === "none") this.log.warn("the answer to the hold cannot be used");
      }
    });
  }

  #sendDigits(digits: string, durationMs: number, reply: CommandReply): void {
    const line = this.#line;
    if (line.state !== "talking") return reply.error("NetConnection.Call.Failed", "there is no call");
    line.digits.send(digits, durationMs, (problem) => {
      if (problem === null) reply.result();
      else reply.error("NetConnection.Call.Failed", problem);
    });
  }

  #sendMessage(text: string, reply: CommandReply): void {
    const line = this.#line;
    if (line.state !== "talking") return reply.error("NetConnection.Call.Failed", "there is no call");
    sendMessage(this, line.call, text, reply);
  }

  /** Ends the call or attempt, unregisters and closes the user agent meanwhile, then waits for every task. */
  async [Symbol.asyncDispose](): Promise<void> {
    hangUp(this, UNAVAILABLE);
    await this.agent[Symbol.asyncDispose]();
    await this.scope.close();
  }
}
