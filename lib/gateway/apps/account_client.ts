// One RTMP client of the call or line application: finds the account that each of its streams names, asks for its
// key, and hands publishers and players to the application.
// Role: edge

import type { KeyAttempt, KeyOutcome } from "../access/key_guard.ts";
import type { Logger } from "../../base/log.ts";
import type { Agent } from "../../call/leg.ts";
import type { RtmpPeer } from "../../call/registry.ts";
import type { SipAccount } from "../../config/accounts.ts";
import {
  type CommandEvent,
  NetStreamClient,
  type PlayEvent,
  type PlayOutcome,
  type PlaySettings,
  type PublishEvent,
} from "../../live/net_stream_client.ts";
import type { LiveSink } from "../../live/subscription.ts";
import { mayReplace, type PublisherConnection } from "../../live/publisher.ts";
import type { Reply } from "../../rtmp/stream_commands.ts";
import type { MediaMessage } from "../../rtmp/message.ts";
import type { NetStream } from "../../rtmp/net_stream.ts";
import type { RtmpConnection } from "../../rtmp/connection.ts";
import { parseAccountPath } from "../urls.ts";
import { parseCommand } from "../commands.ts";

export interface ServedAccount {
  readonly config: SipAccount;
  readonly agent: Agent;
  readonly log: Logger;
}

export type AccountConnection = Pick<RtmpConnection, "peer" | "id" | "call" | "close" | "answers">;

export interface AccountUse {
  readonly account: ServedAccount;
  readonly rest: string;
  readonly stream: NetStream;
  readonly connection: AccountConnection;
  /** The user, token or key that was shown; null: nothing was asked. */
  readonly proof: string | null;
  /** Ends the stream from our side; the connection ends with the last of its publishers. */
  readonly end: (reason: string) => void;
}

export function rtmpPeerOf({ connection: { peer, id } }: AccountUse, path: string): RtmpPeer {
  return { address: peer.hostname, connection: id, path };
}

export interface StreamPublisher {
  /** One message; synchronous, borrowed. */
  media(message: MediaMessage): void;
  ended(): void;
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

export interface AccountApplication {
  /** Takes a publisher. @param instead whose place it takes, if that one is there still; absent: nobody's */
  publish(use: AccountUse, instead?: AccountUse | null): PublisherOutcome;
  play(use: AccountUse, sink: LiveSink): PlayOutcome;
}

/** What the clients of one application share; an account may have an `onBusy` of its own. */
export interface AccountServices extends PlaySettings {
  readonly accounts: { get(name: string): ServedAccount | undefined };
  readonly mayUseKey: (attempt: KeyAttempt, signal: AbortSignal) => KeyOutcome;
  readonly application: AccountApplication;
}

interface AccountClientPath {
  readonly application: "call" | "line";
  readonly app: string;
  readonly query: string;
  /** The user or token of its login; null: nobody is asked. */
  readonly proof: string | null;
}

const CLOSED = "NetConnection.Connect.Closed";
const BAD_NAME = "NetStream.Publish.BadName";

export class AccountClient extends NetStreamClient {
  readonly #connection: AccountConnection;
  readonly #path: AccountClientPath;
  readonly #services: AccountServices;
  /** In the order they began. */
  readonly #publishers = new Map<NetStream, StreamPublisher>();

  constructor(
    connection: AccountConnection,
    path: AccountClientPath,
    services: AccountServices,
    log: Logger,
  ) {
    super(services, log);
    this.#connection = connection;
    this.#path = path;
    this.#services = services;
  }

  protected publish(event: PublishEvent): void {
    const use = this.#admit(event);
    if (use === null) return;
    const outcome = this.#publish(use, null);
    if (outcome.type === "publishing") return;
    const { there } = outcome;
    if (there === null) return this.refuse(event, BAD_NAME, outcome.reason);
    const policy = use.account.config.onBusy ?? this.#services.onBusy;
    const decide = (): Promise<boolean> => mayReplace(policy, publisherOf(there), publisherOf(use));
    this.later(use.stream, "replace", decide, (replaces) => {
      const second = this.#publish(use, replaces ? there : null);
      if (second.type === "refused") this.refuse(event, BAD_NAME, second.reason);
    });
  }

  protected play(event: PlayEvent): void {
    const use = this.#admit(event);
    if (use !== null) this.playLive(event, (sink) => this.#services.application.play(use, sink));
  }

  /** Finds the account that a stream names, and asks for its key; null: refused. */
  #admit(event: PublishEvent | PlayEvent): AccountUse | null {
    const { stream, name, query } = event;
    const { application, app, query: connectQuery } = this.#path;
    const found = parseAccountPath(application, { app, connectQuery, name, query });
    if (found.type === "wrong") return this.#refuse(event, found.reason);
    const account = this.#services.accounts.get(found.account);
    if (account === undefined) {
      return this.#refuse(event, `there is no account ${found.account.slice(0, 64)} here`);
    }
    const permission = this.#services.mayUseKey({
      address: this.#connection.peer.hostname,
      what: `the account ${account.config.name}`,
      expected: account.config.key,
      shown: found.key,
    }, this.scope.signal);
    if (permission.type === "refused") return this.#refuseLate(event, permission.reason, permission.told);
    return {
      account,
      rest: found.rest,
      stream,
      connection: this.#connection,
      proof: account.config.key === null ? this.#path.proof : "key",
      end: (reason) => this.#over(stream, reason),
    };
  }

  #publish(use: AccountUse, instead: AccountUse | null): PublisherOutcome {
    const outcome = this.#services.application.publish(use, instead);
    if (outcome.type === "refused") return outcome;
    const { stream } = use;
    const { publisher } = outcome;
    this.#publishers.set(stream, publisher);
    this.begin(stream, {
      media: (message) => publisher.media(message),
      end: () => {
        this.#publishers.delete(stream);
        publisher.ended();
      },
    });
    stream.started();
    return outcome;
  }

  #refuse(event: PublishEvent | PlayEvent, reason: string): null {
    this.refuse(event, event.type === "publish" ? BAD_NAME : "NetStream.Play.StreamNotFound", reason);
    return null;
  }

  /** Who has no key has nothing to do here: the connection ends as well. */
  #refuseLate({ type, stream }: PublishEvent | PlayEvent, reason: string, told: Promise<void>): null {
    this.later(stream, "refuse", () => told, () => {
      stream.failed(type === "publish" ? "NetStream.Publish.Denied" : "NetStream.Play.Failed", reason);
      void this.#connection.close("NetConnection.Connect.Rejected", reason);
    });
    return null;
  }

  protected command({ name, args, reply }: CommandEvent): void {
    if (name !== "bye" && name !== "sendDTMF") return reply.result(); // whatever programs say to streaming servers
    const parsed = parseCommand(name, args);
    if (parsed.type === "refused") return reply.error("NetConnection.Call.Failed", parsed.reason);
    const publishers = [...this.#publishers.values()];
    if (publishers.length === 0) return reply.error("NetConnection.Call.Failed", "nothing is published");
    const { command } = parsed;
    if (command.name === "sendDTMF") return sendDigits(publishers.at(-1)!, command, reply);
    reply.result();
    for (const publisher of publishers) publisher.bye();
  }

  /** From our side: programs that hear no status events understand the end of their connection. */
  #over(stream: NetStream, reason: string): void {
    this.#publishers.delete(stream);
    this.forget(stream);
    if (stream.state === "publishing") stream.stop(undefined, reason);
    if (this.#publishers.size > 0) return;
    this.log.debug(`closing the connection: ${reason}`); // whose stream it was has said why
    void this.#connection.close(CLOSED, reason);
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
