// The call application: rtmp://gateway/call/<account>/<dest>. Publishing there calls <dest> from that account, and
// ends the call with the stream; playing the same name plays the remote party. Each publisher has its own call.
// Role: edge

import type { CodecRegistry } from "../../codecs/registry.ts";
import type { Logger } from "../../base/log.ts";
import type { Runtime } from "../../base/runtime.ts";
import { Scope } from "../../base/scope.ts";
import type { MediaFactory } from "../../call/call_media.ts";
import type { CallMediaPool } from "../../call/call_media_pool.ts";
import type { CallServices, CallShared } from "../../call/leg.ts";
import type { PlayOutcome } from "../../live/net_stream_client.ts";
import type { LiveSink } from "../../live/subscription.ts";
import { REPLACED } from "../../live/publisher.ts";
import {
  type AccountApplication,
  type AccountUse,
  type PublisherOutcome,
  rtmpPeerOf,
  type StreamPublisher,
} from "./account_client.ts";
import { PublishedCall } from "./published_call.ts";
import { StreamClient } from "./stream_client.ts";

/** What calls of accounts share; everything belongs to the gateway. */
export interface AccountAppParts extends Runtime, CallShared {
  readonly media: Pick<CallMediaPool, "factory">;
  readonly registry: CodecRegistry;
  readonly transcodable: ReadonlySet<string>;
}

const LOGGED_BY_THE_CALL = ["NetStream.Call.Ringing", "NetStream.Call.Accepted", "NetStream.Call.Rejected"];

/** A call, and the stream that publishes for it, which a newer connection may replace. */
interface ActiveCall {
  readonly call: PublishedCall;
  publisher: AccountUse;
}

export class CallApp implements AccountApplication, AsyncDisposable {
  readonly #parts: AccountAppParts;
  readonly #calls = new Map<string, ActiveCall>();
  readonly #scope: Scope;

  constructor(parts: AccountAppParts) {
    this.#parts = parts;
    this.#scope = new Scope("calls by URL", { log: parts.log });
  }

  get size(): number {
    return this.#calls.size;
  }

  publish(use: AccountUse, instead: AccountUse | null = null): PublisherOutcome {
    const { account, rest } = use;
    if (rest === "") {
      return refusedPublisher("whom to call is missing: publish to rtmp://this-host/call/ACCOUNT/NUMBER");
    }
    const name = `${account.config.name}/${rest}`;
    const active = this.#calls.get(name);
    if (active === undefined) {
      return { type: "publishing", publisher: this.#publisherOf(name, this.#open(name, use)) };
    }
    const { publisher } = active;
    if (publisher !== instead) {
      return refusedPublisher(`${rest} is being called by another publisher`, publisher);
    }
    active.publisher = use;
    publisher.end(REPLACED);
    use.stream.started(); // programs wait for this status, and take the first one for it
    active.call.publishedBy(use.stream);
    active.call.leg.log.info(`publisher replaced by ${use.connection.peer.hostname}`);
    return { type: "publishing", publisher: this.#publisherOf(name, active.call) };
  }

  play({ account, rest }: AccountUse, sink: LiveSink): PlayOutcome {
    if (rest === "") return refusedPlay("which call is missing: play rtmp://this-host/call/ACCOUNT/NUMBER");
    return this.#parts.streams.play(pathOf(account.config.name, rest), sink);
  }

  /** Waits until every call is hung up; their publishers have left by now. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { call } of this.#calls.values()) this.#finish(call);
    this.#calls.clear();
    await this.#scope.close();
  }

  #open(name: string, use: AccountUse): PublishedCall {
    const { account, rest, connection } = use;
    const { clock, random, streams } = this.#parts;
    const log = account.log.category("call").child(`call to ${rest}`);
    const { config } = account;
    const { redirect, fields = {} } = config;
    const path = pathOf(config.name, rest);
    const services: CallServices = {
      shared: this.#parts,
      log,
      media: mediaOf(this.#parts, log),
      account: config.name,
      askedBy: connection.peer.hostname,
      fields,
      ...(redirect !== undefined && { redirect }),
    };
    const call: PublishedCall = new PublishedCall({
      destination: rest,
      rules: account.config,
      registry: this.#parts.registry,
      transcodable: this.#parts.transcodable,
      openClient: (link) =>
        new StreamClient({
          link,
          agent: account.agent,
          services,
          remote: { streams, path },
          rtmpPeer: () => rtmpPeerOf(active.publisher, path),
        }),
      clock,
      random,
      tell: (level, code, text) => {
        const said = `${code.replace("NetStream.", "")}: ${text}`;
        if (LOGGED_BY_THE_CALL.includes(code)) log.debug(said);
        else log.info(said);
        active.publisher.stream.status(level, code, text);
      },
      callClient: (method, ...args) => active.publisher.connection.call(method, ...args),
      onOver: (reason) => {
        this.#calls.delete(name);
        this.#finish(call);
        active.publisher.end(reason);
      },
    }, use.stream);
    const active: ActiveCall = { call, publisher: use };
    this.#calls.set(name, active);
    log.info(`publisher connected from ${connection.peer.hostname}`);
    return call;
  }

  #publisherOf(name: string, call: PublishedCall): StreamPublisher {
    return {
      media: (message) => call.media(message),
      bye: () => call.bye(),
      sendDigits: (digits, durationMs, done) => call.leg.sendDigits(digits, durationMs, done),
      ended: () => {
        this.#calls.delete(name);
        this.#finish(call);
      },
    };
  }

  /** Hangs up at once, and waits for the answer meanwhile. */
  #finish(call: PublishedCall): void {
    this.#scope.spawn("hang up", () => call[Symbol.asyncDispose]());
  }
}

export function mediaOf({ media }: AccountAppParts, log: Logger): MediaFactory {
  return media.factory("wideband", log, true);
}

function pathOf(account: string, destination: string): string {
  return `call/${account}/${destination}`;
}

export function refusedPlay(reason: string): PlayOutcome {
  return { type: "refused", reason };
}

/** @param there who publishes already, and may be replaced */
export function refusedPublisher(reason: string, there: AccountUse | null = null): PublisherOutcome {
  return { type: "refused", reason, there };
}
