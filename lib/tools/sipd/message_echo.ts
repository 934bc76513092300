// Sends instant messages back to who sent them, with bounds: so many under way, so many in a second, and never to a
// built-in number, or two programs that both answer would talk for ever. RFC 3428 (MESSAGE).
// Role: machine

import type { Clock } from "../../base/clock.ts";
import type { SipBody } from "../../sip/message/body.ts";
import type { SipUri } from "../../sip/message/uri.ts";
import type { IncomingMessage } from "../../sip/ua/user_agent.ts";

/** Replies under way at a time; messages beyond get none. */
export const MAX_REPLIES = 8;
/** Replies begun in any one second; messages beyond get none. */
export const MAX_REPLIES_PER_SECOND = 10;
/** Longest text sent back, in octets; requests over UDP should stay below 1300 (RFC 3428 8). */
export const MAX_TEXT_OCTETS = 8192;

/** What an echo of messages needs. */
export interface MessageEchoOptions {
  readonly clock: Clock;
  /** Users that are never answered. */
  readonly neverTo: ReadonlySet<string>;
  /** Sends one reply outside calls and calls `done` when it was answered or failed. */
  readonly send: (to: SipUri, body: SipBody, done: () => void) => void;
}

/** Decides which messages are answered. */
export class MessageEcho {
  /** Messages that got no reply. */
  dropped = 0;
  readonly #options: MessageEchoOptions;
  #underWay = 0;
  #secondMs = -Infinity;
  #begun = 0;

  /** Nothing under way. */
  constructor(options: MessageEchoOptions) {
    this.#options = options;
  }

  /** Takes a message from outside calls. */
  receive(message: IncomingMessage): void {
    const { uri } = message.from;
    if (uri.user === null || this.#options.neverTo.has(uri.user)) return void this.dropped++;
    if (this.#mayReply(message.body)) this.#options.send(uri, message.body, this.#done());
  }

  /** Takes a message of a call; `send` is the call's. */
  receiveInCall(body: SipBody, send: (body: SipBody, done: () => void) => void): void {
    if (this.#mayReply(body)) send(body, this.#done());
  }

  #mayReply(body: SipBody): boolean {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#secondMs >= 1000) {
      this.#secondMs = nowMs;
      this.#begun = 0;
    }
    const allowed = this.#underWay < MAX_REPLIES && this.#begun < MAX_REPLIES_PER_SECOND &&
      body.bytes.length <= MAX_TEXT_OCTETS;
    if (allowed) this.#begun++;
    else this.dropped++;
    return allowed;
  }

  /** Counts a reply until what it returns is called. */
  #done(): () => void {
    this.#underWay++;
    let open = true;
    return () => {
      if (open) this.#underWay--;
      open = false;
    };
  }
}
