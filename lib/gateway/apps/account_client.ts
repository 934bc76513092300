// One RTMP client of the call or line application: finds the account that each of its streams names, asks for its
// key, and hands publishers and players to the application. Events are handled at once, because the socket is read
// only between them; only the refusal of a wrong key waits.
// Role: edge

import type { KeyAttempt, KeyOutcome } from "../access/key_guard.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { Scope } from "../../base/scope.ts";
import type { Agent } from "../../call/leg.ts";
import type { RtmpPeer } from "../../call/registry.ts";
import type { SipAccount } from "../../config/sip_account.ts";
import { type LiveSink, PlayerSink } from "../../live/player_sink.ts";
import { mayReplace, type OnBusyPolicy, type PublisherConnection } from "../../live/publisher.ts";
import type { Reply, RtmpEvent } from "../../rtmp/stream_commands.ts";
import type { MediaMessage } from "../../rtmp/message.ts";
import type { NetStream } from "../../rtmp/net_stream.ts";
import type { RtmpConnection } from "../../rtmp/connection.ts";
import { parseAccountPath } from "../urls.ts";
import { parseCommand } from "../commands.ts";

/** An account as the applications use it. */
export interface ServedAccount {
  readonly config: SipAccount;
  readonly agent: Agent;
  readonly log: Logger;
}

/** The connection of a client, as the applications use it. */
export type AccountConnection = Pick<RtmpConnection, "peer" | "id" | "call" | "close" | "answers">;

/** A stream of a client that may use the account it names. */
export interface AccountUse {
  readonly account: ServedAccount;
  /** What stands behind it in the URL. */
  readonly rest: string;
  readonly stream: NetStream;
  readonly connection: AccountConnection;
  /** The user, token or key that was shown; null: nothing was asked. */
  readonly proof: string | null;
  /** Ends the stream from our side; the connection ends with the last of its publishers. */
  readonly end: (reason: string) => void;
}

/** The client of a stream, as the call registry tells of it. */
export function rtmpPeerOf({ connection: { peer, id } }: AccountUse, path: string): RtmpPeer {
  return { address: peer.hostname, connection: id, path };
}

/** What takes the media of one publisher. */
export interface StreamPublisher {
  /** One message; synchronous, borrowed. */
  media(message: MediaMessage): void;
  ended(): void;
  /** The client has said `bye`. */
  bye(): void;
  /** The client has said `sendDTMF`; `done` gets null, or what is in the way. */
  sendDigits(digits: string, durationMs: number, done: (problem: string | null) => void): void;
}

export type PublisherOutcome =
  | { readonly type: "publishing"; readonly publisher: StreamPublisher }
  | {
    readonly type: "refused";
    readonly reason: string;
    /** Who publishes it, and may be replaced; null: nobody. */
    readonly there: AccountUse | null;
  };

export type PlayerOutcome =
  | { readonly type: "playing"; readonly subscription: Disposable }
  | { readonly type: "refused"; readonly reason: string };

/** What the clients of one application publish and play. */
export interface AccountApplication {
  /** Takes a publisher. @param instead whose place it takes, if that one is there still; absent: nobody's */
  publish(use: AccountUse, instead?: AccountUse | null): PublisherOutcome;
  /** Takes a player, which is told by `sink`. */
  play(use: AccountUse, sink: LiveSink): PlayerOutcome;
}

/** What the clients of one application share. */
export interface AccountServices {
  readonly accounts: { get(name: string): ServedAccount | undefined };
  /** Decides about keys. */
  readonly mayUseKey: (attempt: KeyAttempt, signal: AbortSignal) => KeyOutcome;
  readonly application: AccountApplication;
  /** Later than this nothing should arrive at a player. */
  readonly latencyMs: number;
  /** For the log of slow players. */
  readonly clock: Clock;
  /** What happens to who publishes what somebody else publishes, unless the account says otherwise. */
  readonly onBusy: OnBusyPolicy;
}

export interface AccountClientPath {
  readonly application: "call" | "line";
  /** Its `app`. */
  readonly app: string;
  readonly query: string;
  /** The user or token of its login; null: nobody is asked. */
  readonly proof: string | null;
}

type PublishEvent = Extract<RtmpEvent, { type: "publish" }>;
type PlayEvent = Extract<RtmpEvent, { type: "play" }>;
type CommandEvent = Extract<RtmpEvent, { type: "command" }>;

type Activity =
  | { readonly type: "publishing"; readonly publisher: StreamPublisher }
  | { readonly type: "playing"; readonly subscription: Disposable }
  | { readonly type: "waiting" }
  | { readonly type: "refused" };

const CLOSED = "NetConnection.Connect.Closed";

/** One client, while it is connected. */
export class AccountClient implements AsyncDisposable {
  readonly #connection: AccountConnection;
  readonly #path: AccountClientPath;
  readonly #services: AccountServices;
  readonly #log: Logger;
  readonly #scope: Scope;
  readonly #activities = new Map<NetStream, Activity>();

  /** Does nothing yet. */
  constructor(
    connection: AccountConnection,
    path: AccountClientPath,
    services: AccountServices,
    log: Logger,
  ) {
    this.#connection = connection;
    this.#path = path;
    this.#services = services;
    this.#log = log;
    this.#scope = new Scope("streams", { log });
  }

  /** Handles one event of the connection; never waits. */
  handle(event: RtmpEvent): void {
    switch (event.type) {
      case "publish":
      case "play":
        return this.#begin(event);
      case "ended":
        return this.#end(event.stream);
      case "command":
        return this.#command(event);
      case "pause":
      case "seek":
      case "receive":
        return; // what is played is live: the stream itself stops and resumes what it sends
    }
  }

  /** One media message of a publishing stream; synchronous, borrowed. */
  media(stream: NetStream, message: MediaMessage): void {
    const activity = this.#activities.get(stream);
    if (activity?.type === "publishing") activity.publisher.media(message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#activities.keys()) this.#end(stream);
    await this.#scope.close();
  }

  #begin(event: PublishEvent | PlayEvent): void {
    const { stream, name, query } = event;
    this.#end(stream);
    const { application, app, query: connectQuery } = this.#path;
    const found = parseAccountPath(application, { app, connectQuery, name, query });
    if (found.type === "wrong") return this.#refuse(event, found.reason);
    const account = this.#services.accounts.get(found.account);
    if (account === undefined) {
      return this.#refuse(event, `there is no account ${found.account.slice(0, 64)} here`);
    }
    const { signal } = this.#scope;
    const permission = this.#services.mayUseKey({
      address: this.#connection.peer.hostname,
      what: `the account ${account.config.name}`,
      expected: account.config.key,
      shown: found.key,
    }, signal);
    if (permission.type === "refused") return this.#refuseLate(event, permission.reason, permission.told);
    this.#start(event, {
      account,
      rest: found.rest,
      stream,
      connection: this.#connection,
      proof: account.config.key === null ? this.#path.proof : "key",
      end: (reason) => this.#over(stream, reason),
    });
  }

  #start(event: PublishEvent | PlayEvent, use: AccountUse): void {
    if (event.type === "play") return this.#play(event, use);
    const outcome = this.#publish(use, null);
    if (outcome.type === "publishing") return;
    const { there } = outcome;
    if (there === null) return this.#refuse(event, outcome.reason);
    const waiting: Activity = { type: "waiting" };
    this.#activities.set(use.stream, waiting);
    this.#scope.spawn("replace", async () => {
      const policy = use.account.config.onBusy ?? this.#services.onBusy;
      const replaces = await mayReplace(policy, publisherOf(there), publisherOf(use));
      if (this.#activities.get(use.stream) !== waiting) return; // it has left, or does something else
      this.#activities.delete(use.stream);
      const second = this.#publish(use, replaces ? there : null);
      if (second.type === "refused") this.#refuse(event, second.reason);
    });
  }

  #publish(use: AccountUse, instead: AccountUse | null): PublisherOutcome {
    const outcome = this.#services.application.publish(use, instead);
    if (outcome.type === "refused") return outcome;
    this.#activities.set(use.stream, { type: "publishing", publisher: outcome.publisher });
    use.stream.started();
    return outcome;
  }

  #play({ stream, duration }: PlayEvent, use: AccountUse): void {
    const { application, latencyMs, clock } = this.#services;
    const sink = new PlayerSink(stream, {
      latencyMs,
      durationMs: duration,
      clock,
      log: this.#log,
      onFinished: () => this.#end(stream),
    });
    const outcome = application.play(use, sink);
    if (outcome.type === "refused") {
      this.#log.info(`play refused: ${outcome.reason}`);
      return stream.failed("NetStream.Play.Failed", outcome.reason);
    }
    const { subscription } = outcome;
    if (stream.state !== "playing") return subscription[Symbol.dispose](); // its duration was over at once
    this.#activities.set(stream, { type: "playing", subscription });
  }

  #refuse({ type, stream }: PublishEvent | PlayEvent, reason: string): void {
    this.#log.info(`${type} refused: ${reason}`);
    stream.failed(type === "publish" ? "NetStream.Publish.BadName" : "NetStream.Play.StreamNotFound", reason);
  }

  /** Who has no key has nothing to do here: the connection ends as well. */
  #refuseLate({ type, stream }: PublishEvent | PlayEvent, reason: string, told: Promise<void>): void {
    const waiting: Activity = { type: "refused" };
    this.#activities.set(stream, waiting);
    this.#scope.spawn("refuse", async () => {
      await told;
      if (this.#activities.get(stream) !== waiting) return;
      stream.failed(type === "publish" ? "NetStream.Publish.Denied" : "NetStream.Play.Failed", reason);
      void this.#connection.close("NetConnection.Connect.Rejected", reason);
    });
  }

  #command({ name, args, reply }: CommandEvent): void {
    if (name !== "bye" && name !== "sendDTMF") return reply.result(); // whatever programs say to streaming servers
    const parsed = parseCommand(name, args);
    if (parsed.type === "refused") return reply.error("NetConnection.Call.Failed", parsed.reason);
    const publishers = [...this.#activities.values()].flatMap((activity) =>
      activity.type === "publishing" ? [activity.publisher] : []
    );
    if (publishers.length === 0) return reply.error("NetConnection.Call.Failed", "nothing is published");
    const { command } = parsed;
    if (command.name === "sendDTMF") return sendDigits(publishers.at(-1)!, command, reply);
    reply.result();
    for (const publisher of publishers) publisher.bye();
  }

  /** From our side: programs that hear no status events understand the end of their connection. */
  #over(stream: NetStream, reason: string): void {
    this.#activities.delete(stream);
    if (stream.state === "publishing") stream.stop(undefined, reason);
    for (const { type } of this.#activities.values()) if (type === "publishing") return;
    this.#log.debug(`the connection ends: ${reason}`); // whose stream it was has said why
    void this.#connection.close(CLOSED, reason);
  }

  #end(stream: NetStream): void {
    const activity = this.#activities.get(stream);
    this.#activities.delete(stream);
    if (activity?.type === "publishing") activity.publisher.ended();
    if (activity?.type === "playing") activity.subscription[Symbol.dispose]();
  }
}

function publisherOf({ proof, connection }: AccountUse): PublisherConnection {
  return { proof, answers: () => connection.answers() };
}

function sendDigits(
  publisher: StreamPublisher,
  { digits, durationMs }: { readonly digits: string; readonly durationMs: number },
  reply: Reply,
): void {
  publisher.sendDigits(digits, durationMs, (problem) => {
    if (problem === null) reply.result();
    else reply.error("NetConnection.Call.Failed", problem);
  });
}
