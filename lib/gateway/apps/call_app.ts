// The call application: rtmp://gateway/call/<account>/<dest>. Publishing there calls <dest> from that account, and
// ends the call with the stream; playing the same name hears and sees the far end. Each publisher has its own call.
// Role: edge

import type { AccessPolicy } from "../access/access_policy.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { Scope } from "../../base/scope.ts";
import type { MediaFactory } from "../../call/call_media.ts";
import type { CallRoom, CallServices } from "../../call/leg.ts";
import type { CallRegistry } from "../../call/registry.ts";
import type { DtmfMode } from "../../config/config_settings.ts";
import type { DialPlan } from "../../config/dial_plan.ts";
import type { PlayOutcome } from "../../live/net_stream_client.ts";
import type { LiveSink } from "../../live/player_sink.ts";
import { REPLACED } from "../../live/publisher.ts";
import type { LiveStreams } from "../../live/streams.ts";
import {
  type AccountApplication,
  type AccountUse,
  type PublisherOutcome,
  rtmpPeerOf,
  type StreamPublisher,
} from "./account_client.ts";
import { PublishedCall } from "./published_call.ts";
import { StreamClient } from "./stream_client.ts";

/** What lines of accounts share; everything belongs to the gateway. */
export interface AccountAppParts {
  readonly clock: Clock;
  /** Where lines go. */
  readonly log: Logger;
  readonly random: Random;
  /** The media of one call; its RTMP time starts now. */
  readonly media: (log: Logger) => MediaFactory;
  /** Codecs that can be turned into one another here. */
  readonly transcodable: ReadonlySet<string>;
  readonly access: Pick<AccessPolicy, "mayCall">;
  readonly room: CallRoom;
  /** Where calls are listed. */
  readonly calls: CallRegistry;
  /** Where dialled numbers go. */
  readonly dialPlan: DialPlan;
  /** How touch tones are sent. */
  readonly dtmf: DtmfMode;
  /** Whether a 3xx is followed, unless the account says otherwise. */
  readonly redirect: boolean;
  /** Where far ends are published. */
  readonly streams: LiveStreams;
}

/** What the call itself has said in the log, in its own words. */
const LOGGED_BY_THE_CALL = ["NetStream.Call.Ringing", "NetStream.Call.Accepted", "NetStream.Call.Rejected"];

/** A call, and the stream that publishes for it, which a newer connection may replace. */
interface ActiveCall {
  readonly call: PublishedCall;
  publisher: AccountUse;
}

/** Calls of publishers, by account and destination. */
export class CallApp implements AccountApplication, AsyncDisposable {
  readonly #parts: AccountAppParts;
  readonly #calls = new Map<string, ActiveCall>();
  readonly #scope: Scope;

  /** No calls yet. */
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
    account.log.info(`call to ${rest}: publisher replaced by ${use.connection.peer.hostname}`);
    return { type: "publishing", publisher: this.#publisherOf(name, active.call) };
  }

  play({ account, rest }: AccountUse, sink: LiveSink): PlayOutcome {
    if (rest === "") return refused("which call is missing: play rtmp://this-host/call/ACCOUNT/NUMBER");
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
    const log = account.log.child(`call to ${rest}`);
    const { redirect, fields = {} } = account.config;
    const parts = redirect === undefined ? this.#parts : { ...this.#parts, redirect };
    const path = pathOf(account.config.name, rest);
    const services: CallServices = {
      ...servicesOf(parts, log, account.config.name, connection.peer.hostname),
      fields,
      rtmpPeer: () => rtmpPeerOf(active.publisher, path),
    };
    const call: PublishedCall = new PublishedCall({
      destination: rest,
      rules: account.config,
      takesAac: this.#parts.transcodable.has("aac"),
      openClient: (link) =>
        new StreamClient({
          link,
          agent: account.agent,
          services,
          remote: { streams, path },
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

/** What the calls of an account take from the gateway. @param address of the client that pays for the call */
export function servicesOf(
  parts: AccountAppParts,
  log: Logger,
  account: string,
  address: string,
): CallServices {
  const { clock, media, access, room, calls, dialPlan, dtmf, redirect } = parts;
  return {
    clock,
    log,
    calls,
    account,
    media: media(log),
    room,
    dtmf,
    redirect,
    dialPlan,
    askedBy: address,
    mayCall: (target) => access.mayCall(address, target),
  };
}

function pathOf(account: string, destination: string): string {
  return `call/${account}/${destination}`;
}

/** A publisher is refused. @param there who publishes already, and may be replaced */
export function refusedPublisher(reason: string, there: AccountUse | null = null): PublisherOutcome {
  return { type: "refused", reason, there };
}

function refused(reason: string): { readonly type: "refused"; readonly reason: string } {
  return { type: "refused", reason };
}
