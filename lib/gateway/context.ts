// One RTMP client and its SIP user agent: commands of the client become calls, events of the calls become callbacks.
// Role: edge

import type { AmfValue } from "../amf/value.ts";
import { createStatus } from "../rtmp/command.ts";
import type { RtmpEvent } from "../rtmp/stream_commands.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { NetStream } from "../rtmp/net_stream.ts";
import { formatFailover } from "../sip/transaction/client_handle.ts";
import type { Invitation } from "../sip/ua/invitation.ts";
import { reasonPhrase } from "../sip/message/message.ts";
import type { RegisterOutcome } from "../sip/ua/registration.ts";
import type { RegistrationChange } from "../sip/ua/registration_keeper.ts";
import { type ClientCommand, parseCommand } from "./commands.ts";
import { answer, invited, refuse } from "../call/answer.ts";
import {
  CallLeg,
  type CallLegParts,
  type CallState,
  DECLINE,
  IDLE,
  type LegOwner,
  statusText,
  UNAVAILABLE,
} from "../call/leg.ts";
import {
  hold,
  type MessageReply,
  receivedPagingMessage,
  sendMessage,
  sendPagingMessage,
} from "../call/talk.ts";
import { dial } from "../call/dial.ts";
import type { RtmpPeer } from "../call/registry.ts";
import type { ConnectionClient } from "../live/net_stream_client.ts";
import { isSound, publisherCodecs } from "../call/publisher_configs.ts";
import type { UrlDial } from "./urls.ts";

/** Most tasks of one client, each a command that waits for the remote party; a call is one. */
const MAX_WAITING = 64;

/** What a client may always do. */
const ENDING_COMMANDS: readonly string[] = ["bye", "reject"];

interface ContextParts extends CallLegParts {
  /** Whom to call as soon as there is media; absent or null: the client dials. */
  readonly dialByUrl?: UrlDial | null;
  readonly rtmpPeer?: RtmpPeer;
}

export class Context implements LegOwner, ConnectionClient, AsyncDisposable {
  readonly leg: CallLeg;
  readonly rtmpPeer: RtmpPeer | null;
  #playing: NetStream | null = null;
  #missed = false;
  #publishing: NetStream | null = null;
  readonly #takesCalls: boolean;
  #toDial: UrlDial | null;

  constructor(parts: ContextParts) {
    const { dialByUrl = null, rtmpPeer = null } = parts;
    this.#toDial = dialByUrl;
    this.#takesCalls = dialByUrl === null;
    this.rtmpPeer = rtmpPeer;
    this.leg = new CallLeg(this, parts);
  }

  /** Registers when the client gave a password; without one only calls straight to our port reach it. */
  async register(signal: AbortSignal): Promise<RegisterOutcome | { type: "not needed" }> {
    if (!this.leg.agent.identity.password) return { type: "not needed" };
    return await this.leg.agent.register(signal, (notice) => {
      const status = createStatus("status", "NetConnection.Connect.Trying", formatFailover(notice));
      this.leg.link.call("onStatus", status);
    });
  }

  /** Takes calls, messages and changes of the registration from now on; nothing waits for them meanwhile. */
  start(): void {
    this.leg.agent.invitations().handTo((invitation) =>
      this.#run("invitation", () => this.#invited(invitation))
    );
    this.leg.agent.registrations().handTo((change) =>
      this.#run("registration", () => this.#registered(change))
    );
    this.leg.agent.messages().handTo((message) =>
      this.#run("message", () => receivedPagingMessage(this.leg, message))
    );
  }

  /** What it throws is our bug, and no business of whoever brought the news. */
  #run(task: string, run: () => void): void {
    this.leg.scope.spawn(task, () => Promise.resolve(run()));
  }

  #registered(change: RegistrationChange): void {
    if (change.type === "registered") this.leg.link.call("registered", change.expiresSeconds);
    else this.leg.link.call("unregistered", statusText(change.status, change.reason));
  }

  /** A program that dialled by URL cannot answer. */
  #invited(invitation: Invitation): void {
    if (this.#takesCalls) invited(this.leg, invitation);
    else refuse(this.leg, invitation, 480, "Temporarily Unavailable");
  }

  handle(event: RtmpEvent): void {
    switch (event.type) {
      case "command":
        return this.#rtmpCommand(event.name, event.args, event.reply);
      case "publish":
        this.#publishing = event.stream;
        this.leg.publishedBy(event.stream);
        return event.stream.started();
      case "play":
        this.#playing = event.stream;
        event.stream.started();
        if (this.leg.state.type === "talking") this.leg.state.media.playerChanged();
        else this.#missed = true;
        return this.#dialByUrl(this.#toDial?.playerCodecs ?? []);
      case "ended":
        if (event.stream === this.#publishing) this.#publishing = this.leg.publisher = null;
        if (event.stream === this.#playing) this.#playing = null;
        return;
      case "pause":
      case "seek":
      case "receive":
        return; // a call is live: the stream itself stops and resumes what it sends
    }
  }

  readonly media = (stream: NetStream, message: MediaMessage): void => {
    if (stream !== this.#publishing) return;
    const { leg } = this;
    leg.put(message);
    if (this.#toDial !== null && leg.state.type !== "talking" && isSound(message)) {
      const codecs = publisherCodecs(message.body, this.#toDial.registry);
      this.#dialByUrl(codecs.length > 0 && leg.hasVideo ? [...codecs, "h264"] : codecs);
    }
  };

  #dialByUrl(codecs: readonly string[]): void {
    const wanted = this.#toDial;
    this.#toDial = null;
    if (wanted === null) return;
    if (codecs.length > 0) {
      this.leg.link.call("dialing", wanted.destination);
      return dial(this.leg, wanted.destination, codecs);
    }
    const text = "this kind of audio cannot be carried in a call: send AAC, Opus, Speex or G.711";
    this.leg.log.warn(text);
    this.leg.publisherTrouble("NetStream.Publish.UnsupportedCodec", text, "error");
    this.leg.link.call("rejected", "488 Not Acceptable Here");
  }

  get player(): NetStream | null {
    return this.#playing;
  }

  /** Tags of the remote party, for whichever stream the client plays now. */
  play(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    if (this.#playing === null) this.#missed = true;
    else this.#playing.send(type, timeMs, body);
  }

  takeMissed(): boolean {
    const missed = this.#missed;
    this.#missed = false;
    return missed;
  }

  stateChanged(from: CallState): void {
    if (from === IDLE) this.#missed = false;
  }

  #rtmpCommand(name: string, args: readonly AmfValue[], reply: MessageReply): void {
    const parsed = parseCommand(name, args);
    if (parsed.type === "refused") return reply.error("NetConnection.Call.Failed", parsed.reason);
    if (this.leg.scope.size > MAX_WAITING && !ENDING_COMMANDS.includes(parsed.command.name)) {
      return reply.error("NetConnection.Call.Failed", "too many commands are waiting for the remote party");
    }
    this.#perform(parsed.command, reply);
  }

  #perform(command: ClientCommand, reply: MessageReply): void {
    switch (command.name) {
      case "sendDTMF":
        return this.#sendDigits(command.digits, command.durationMs, reply);
      case "sendMessage":
        return sendMessage(this.leg, command.text, reply);
      case "sendPagingMessage":
        return sendPagingMessage(this.leg, command.destination, command.text, reply);
    }
    reply.result();
    switch (command.name) {
      case "invite":
        return dial(this.leg, command.destination, command.codecs);
      case "accept":
        return answer(this.leg, command.codecs);
      case "reject":
        return this.#reject(command.status, command.reason || reasonPhrase(command.status));
      case "bye":
        return this.leg.hangUp(DECLINE);
      case "hold":
        return hold(this.leg, command.on);
    }
  }

  #reject(status: number, reason: string): void {
    if (this.leg.state.type === "alerting") this.leg.hangUp({ status, reason });
  }

  #sendDigits(digits: string, durationMs: number, reply: MessageReply): void {
    this.leg.sendDigits(digits, durationMs, (problem) => {
      if (problem === null) reply.result();
      else reply.error("NetConnection.Call.Failed", problem);
    });
  }

  /** Ends the call or attempt, unregisters and closes the user agent meanwhile, then waits for every task. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.leg.hangUp(UNAVAILABLE);
    await this.leg.agent[Symbol.asyncDispose]();
    await this.leg[Symbol.asyncDispose]();
  }
}
