// A telephone line whose client is streams: what one RTMP program publishes goes to the far end, and the far end is
// published for any number of players. The coroutines of lib/call run it as they run the line of a Context; whoever
// owns it hears by its link what they would call on a client.
// Role: edge

import type { Logger } from "../../base/log.ts";
import { Scope } from "../../base/scope.ts";
import type { CallMedia, TroubleLevel } from "../../call/call_media.ts";
import { PublisherConfigs } from "../../call/publisher_configs.ts";
import { hangUp, type RefusalStatus, UNAVAILABLE } from "../../call/hang_up.ts";
import { answer, invited } from "../../call/incoming.ts";
import type { Agent, ClientLink, ContextServices, Line, LineOwner } from "../../call/line.ts";
import { IDLE } from "../../call/line.ts";
import { dial } from "../../call/outgoing.ts";
import type { LiveStreams, Publication } from "../../live/streams.ts";
import type { MediaMessage } from "../../rtmp/message.ts";
import type { NetStream } from "../../rtmp/net_stream.ts";
import type { Invitation } from "../../sip/ua/invitation.ts";

/** The publisher's stream, as far as a line speaks to it. */
export type PublisherStream = Pick<NetStream, "status">;

/** Where players find the far end. */
export interface FarEndPlace {
  readonly streams: LiveStreams;
  readonly path: string;
}

export interface StreamLineParts {
  /** Told what a client would be told: ringing, accepted, rejected, byed, receivedDTMF... */
  readonly link: ClientLink;
  /** The SIP side; shared with other lines of its account, so it stays its owner's to dispose of. */
  readonly agent: Agent;
  /** Shared parts of the gateway. */
  readonly services: ContextServices;
  /** Where the far end is published while there is a call. */
  readonly farEnd: FarEndPlace;
}

export class StreamLine implements LineOwner, AsyncDisposable {
  readonly link: ClientLink;
  readonly agent: Agent;
  /** Shared parts of the gateway. */
  readonly services: ContextServices;
  /** Everything this line runs. */
  readonly scope: Scope;
  /** Where its lines are logged. */
  readonly log: Logger;
  readonly #farEnd: FarEndPlace;
  readonly #configs = new PublisherConfigs();
  #line: Line = IDLE;
  #publisher: PublisherStream | null = null;
  #publication: Publication | null = null;
  #unpublished = false;

  /** Does nothing yet. */
  constructor({ link, agent, services, farEnd }: StreamLineParts) {
    this.link = link;
    this.agent = agent;
    this.services = services;
    this.log = services.log;
    this.scope = new Scope("line", { log: services.log });
    this.#farEnd = farEnd;
  }

  get line(): Line {
    return this.#line;
  }

  /** True when the publisher has sent the configuration of H.264. */
  get hasVideo(): boolean {
    return this.#configs.hasVideo;
  }

  /** Calls somebody; the link hears ringing, accepted or rejected. */
  dial(destination: string, codecs: readonly string[]): void {
    dial(this, destination, codecs);
  }

  /** Takes an invitation: refused when the line is busy or nothing fits, else it rings and the link hears invited. */
  invited(invitation: Invitation): void {
    invited(this, invitation);
  }

  /** Answers the invitation that rings. */
  answer(codecs: readonly string[]): void {
    answer(this, codecs);
  }

  /** Ends whatever it does; the link is told nothing. */
  hangUp(refusal?: RefusalStatus): void {
    hangUp(this, refusal);
  }

  /** Sends touch tones; `done` gets null, or what is in the way. */
  sendDigits(digits: string, durationMs: number, done: (problem: string | null) => void): void {
    const line = this.#line;
    if (line.state !== "talking") return done("there is no call");
    line.digits.send(digits, durationMs, done);
  }

  /** Somebody publishes from now on, or nobody (null): the next time of its media means "now". */
  publishedBy(publisher: PublisherStream | null): void {
    this.#publisher = publisher;
    this.#configs.forget();
    if (this.#line.state === "talking") this.#line.media.publisherChanged();
  }

  /** One message for the far end; synchronous, borrowed. Configurations are kept for calls to come. */
  put(message: MediaMessage): void {
    this.#configs.note(message);
    if (this.#line.state === "talking") this.#line.media.fromRtmp(message);
  }

  /** Tags of the far end, to all who play: the outlet of every call's media. */
  play(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    if (this.#publication === null) this.#publish();
    this.#publication?.put(type, timeMs, body);
  }

  /** Gives a call what was published before it. */
  primeMedia(media: CallMedia): void {
    this.#configs.prime(media);
  }

  /** Who plays late is given what is needed to begin: nothing is missed. */
  takeMissed(): boolean {
    return false;
  }

  /** Encoders that listen (OBS does not) answer this status with a key frame. */
  keyFrameWanted(): void {
    const text = "the far end lost its picture: send a key frame";
    this.#publisher?.status("status", "NetStream.Publish.KeyFrameWanted", text);
  }

  /** What the publisher can change. Programs like ffmpeg show only errors, and end with one. */
  publisherTrouble(code: string, text: string, level: TroubleLevel = "warning"): void {
    this.#publisher?.status(level, code, text);
  }

  /** Players are many, and others than who called. */
  callTrouble(code: string, text: string): void {
    this.#publisher?.status("warning", code, text);
  }

  /** Replaces `from` by `to`; false when something else holds the line by now. The far end ends with its call. */
  advance(from: Line, to: Line): boolean {
    if (this.#line !== from) return false;
    this.#line = to;
    if (to.state === "idle") this.#unpublish();
    return true;
  }

  /** Hangs up, and waits for every task. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp(UNAVAILABLE);
    await this.scope.close();
  }

  /** Not before there is something to hear: early media is published, ringing alone is not. */
  #publish(): void {
    if (this.#unpublished || this.#line.state === "idle") return;
    const { streams, path } = this.#farEnd;
    const outcome = streams.publish(path);
    if (outcome.type === "publishing") {
      this.#publication = outcome.publication;
      return;
    }
    this.#unpublished = true; // until the next call
    this.log.warn(`nobody can play the far end: ${outcome.reason}`);
  }

  #unpublish(): void {
    this.#publication?.end();
    this.#publication = null;
    this.#unpublished = false;
  }
}
