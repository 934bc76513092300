// A number that answers by itself: takes calls at once, keeps their media, answers changes, and hangs up after an
// hour at the latest. RFC 3261 13.3 (180, 200, 486), 14 (re-INVITE), 15 (BYE); RFC 3264 (offers by either side).
// Role: edge

import { messageOf, TransportError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { Scope } from "../../base/scope.ts";
import { withAddresses } from "../../sdp/connection_names.ts";
import { type CallEnding, completed, endingOf, type RegisteredCall } from "../../call/registry.ts";
import type { SipBody } from "../../sip/message/body.ts";
import { reasonPhrase } from "../../sip/message/message.ts";
import { formatSipUri } from "../../sip/message/uri.ts";
import type { Call, CallEvent, OfferEvent } from "../../sip/ua/call.ts";
import type { Invitation } from "../../sip/ua/invitation.ts";
import type { IncomingMessage, UserAgent } from "../../sip/ua/user_agent.ts";
import { type MediaTreatment, NumberMedia, type NumberServices } from "./number_media.ts";

/** Calls at a time; further callers hear 486. */
const MAX_CALLS = 500;
/** Longest call, in milliseconds: a caller that vanished without a BYE does not stay for ever. */
export const MAX_CALL_MS = 3_600_000;

const NO_ANSWER = { type: "none", reason: "the caller did not answer our offer" } as const;
const NOT_UP: CallEnding = { status: "failed", sipStatus: null, reason: "not set up", by: "failure" };

export interface BuiltInNumberOptions {
  /** Who answers; the number owns it from now on. */
  readonly agent: UserAgent;
  readonly treatment: MediaTreatment;
  readonly services: NumberServices;
  /** Told of messages outside calls; 200 was sent. */
  readonly onMessage?: (message: IncomingMessage) => void;
  /** Told of messages inside calls; 200 was sent. */
  readonly onCallMessage?: (call: Call, body: SipBody) => void;
  /** Calls at a time, 500 unless given. */
  readonly maxCalls?: number;
}

export class BuiltInNumber implements AsyncDisposable {
  readonly #options: BuiltInNumberOptions;
  readonly #name: string;
  readonly #log: Logger;
  readonly #scope: Scope;
  #calls = 0;

  constructor(options: BuiltInNumberOptions) {
    const { agent, services } = options;
    this.#options = options;
    this.#name = agent.identity.aor.user ?? "";
    this.#log = services.log.category("call").child(`number ${this.#name}`);
    this.#scope = new Scope(`number ${this.#name}`, { log: this.#log });
    this.#scope.spawn("invitations", () => this.#answerInvitations());
    this.#scope.spawn("messages", () => this.#takeMessages());
  }

  get calls(): number {
    return this.#calls;
  }

  /** Runs `run` as a task of this number; it ends before the number does. */
  spawn(task: string, run: (signal: AbortSignal) => Promise<void>): void {
    this.#scope.spawn(task, run);
  }

  /** Hangs up all calls (2 s at most) and waits for everything to end. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.agent[Symbol.asyncDispose]();
    await this.#scope.close();
  }

  async #answerInvitations(): Promise<void> {
    for await (const invitation of this.#options.agent.invitations()) {
      this.#scope.spawn(`call ${invitation.id.slice(0, 40)}`, () => this.#admit(invitation));
    }
  }

  async #takeMessages(): Promise<void> {
    for await (const message of this.#options.agent.messages()) this.#options.onMessage?.(message);
  }

  async #admit(invitation: Invitation): Promise<void> {
    const over = new AbortController();
    const registered = this.#register(invitation, over);
    if (this.#calls >= (this.#options.maxCalls ?? MAX_CALLS)) {
      registered.end(endingOf(486, "Busy Here", "local"));
      return invitation.refuse(486, "Busy Here", warning(`${this.#calls} calls are all this number takes`));
    }
    this.#calls++;
    try {
      await this.#answer(invitation, registered, over.signal);
    } finally {
      this.#calls--;
      registered.end(NOT_UP);
    }
  }

  /** @param over aborted when it is to be hung up */
  #register(invitation: Invitation, over: AbortController): RegisteredCall {
    const { services: { calls }, agent } = this.#options;
    const registered = calls.register({
      direction: "in",
      account: null,
      remote: invitation.from,
      local: formatSipUri(agent.identity.aor),
      rtmp: () => null,
      hangUp: () => over.abort(),
    });
    registered.sipCallId = invitation.id;
    return registered;
  }

  async #answer(invitation: Invitation, registered: RegisteredCall, over: AbortSignal): Promise<void> {
    const { treatment, services } = this.#options;
    const { localAddress } = invitation.source;
    using media = new NumberMedia({ treatment, services, localAddress, log: this.#log });
    const settled = settle(media, await this.#withAddresses(invitation.offer));
    if (settled.type === "refused") {
      const { status, phrase, reason, headers } = settled;
      this.#log[status === 503 ? "warn" : "info"](`call rejected ${status}: ${reason}`);
      invitation.refuse(status, phrase, headers);
      return registered.end(endingOf(status, reasonPhrase(status), "local"));
    }
    registered.media = media;
    invitation.ring();
    registered.become("ringing");
    const outcome = await invitation.accept(settled.body);
    const caller = `${invitation.from.uri.user ?? "somebody"}@${invitation.from.uri.host}`;
    if (outcome.type === "failed") {
      registered.end({ ...NOT_UP, reason: outcome.reason });
      return this.#log.info(`call from ${caller} not set up: ${outcome.reason}`);
    }
    const { call } = outcome;
    registered.become("in-progress");
    over.addEventListener("abort", () => this.#hangUp(call), { once: true });
    if (over.aborted) this.#hangUp(call);
    registered.end(await this.#talk(call, media, caller, invitation.offer === null));
  }

  async #talk(
    call: Call,
    media: NumberMedia,
    caller: string,
    offeredByUs: boolean,
  ): Promise<CallEnding> {
    await using established = call;
    const { clock } = this.#options.services;
    const startMs = clock.now();
    this.#log.info(`call from ${caller} is up`);
    using _limit = clock.after(MAX_CALL_MS, () => this.#hangUp(established));
    if (offeredByUs) await this.#takeAnswer(established, media, established.remoteBody);
    media.session.watch({
      quiet: () => {},
      dead: (_reason, seconds) => established.fail(`no RTP for ${seconds} s`),
    });
    let ending = NOT_UP;
    for await (const event of established.events()) {
      if (event.type === "ended") ending = completed(event.by, event.reason);
      await this.#handle(established, media, event);
    }
    const seconds = ((clock.now() - startMs) / 1000).toFixed(1);
    this.#log.info(
      `call from ${caller} ended after ${seconds} s (${ending.by}: ${ending.reason}); ${media.summary()}`,
    );
    return ending;
  }

  async #handle(call: Call, media: NumberMedia, event: CallEvent): Promise<void> {
    switch (event.type) {
      case "offer":
        return await this.#answerOffer(media, event);
      case "answer":
        return await this.#takeAnswer(call, media, event.body);
      case "message":
        return this.#options.onCallMessage?.(call, event.body);
      default: // INFO needs no more than the 200 it got; the end ends the loop
    }
  }

  async #answerOffer(media: NumberMedia, event: OfferEvent): Promise<void> {
    const settled = settle(media, await this.#withAddresses(event.body));
    if (settled.type === "refused") event.refuse(settled.status, settled.phrase);
    else this.#scope.spawn("answer", async () => void await event.answer(settled.body));
  }

  /** A call whose media cannot be understood is no use to anybody. */
  async #takeAnswer(call: Call, media: NumberMedia, body: SipBody | null): Promise<void> {
    const answer = await this.#withAddresses(body);
    const outcome = answer === null ? NO_ANSWER : media.session.takeAnswer(answer);
    if (outcome.type === "agreed") return;
    this.#log.warn(`hanging up: ${outcome.reason}`);
    this.#hangUp(call);
  }

  async #withAddresses(body: SipBody | null): Promise<SipBody | null> {
    const { lookUp } = this.#options.services;
    if (body === null || lookUp === undefined) return body;
    return { ...body, bytes: await withAddresses(body.bytes, lookUp) };
  }

  #hangUp(call: Call): void {
    this.#scope.spawn("hang up", () => call.hangUp());
  }
}

type Settled =
  | { readonly type: "settled"; readonly body: SipBody }
  | {
    readonly type: "refused";
    readonly status: 400 | 488 | 503;
    readonly phrase: string;
    readonly reason: string;
    readonly headers?: Record<string, string>;
  };

/** Our answer, or our offer to a caller without one. */
function settle({ session }: NumberMedia, offer: SipBody | null): Settled {
  try {
    if (offer === null) return { type: "settled", body: session.makeOffer() };
    const outcome = session.takeOffer(offer);
    if (outcome.type === "agreed") return { type: "settled", body: outcome.answer };
    const { reason, malformed } = outcome;
    const [status, phrase] = malformed
      ? [400, "Bad Session Description"] as const
      : [488, "Not Acceptable Here"] as const;
    return { type: "refused", status, phrase, reason, headers: warning(reason) };
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    return { type: "refused", status: 503, phrase: "Service Unavailable", reason: messageOf(error) };
  }
}

/** A Warning header in plain words (RFC 3261 20.43); 399 is for texts that people read. */
function warning(text: string): Record<string, string> {
  return { Warning: `399 sipd "${text.replace(/["\\\p{Cc}]/gu, " ")}"` };
}
