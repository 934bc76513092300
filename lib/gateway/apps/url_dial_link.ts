// What a client that dialled by URL without an account is told: nothing it would not understand. Its callbacks are
// in the trace, the end of the call is the end of its connection, and so is ringing or talking for longer than its URL says.
// Role: machine

import type { AmfValue } from "../../amf/value.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { ClientLink } from "../../call/leg.ts";
import type { RtmpConnection } from "../../rtmp/connection.ts";
import { NO_ANSWER } from "../call_policy.ts";
import type { UrlDial } from "./url_dial.ts";

export interface UrlDialLinkParts {
  readonly client: Pick<RtmpConnection, "close">;
  /** How long it may ring and last. */
  readonly limits: Pick<UrlDial, "answerTimeoutSeconds" | "maxDurationSeconds">;
  readonly clock: Clock;
  /** Where callbacks go. */
  readonly log: Logger;
}

export class UrlDialLink implements ClientLink, Disposable {
  readonly #parts: UrlDialLinkParts;
  #timer: Disposable | null = null;

  /** Nothing is dialled yet. */
  constructor(parts: UrlDialLinkParts) {
    this.#parts = parts;
  }

  call(method: string, ...args: AmfValue[]): void {
    const { limits, log } = this.#parts;
    const said = [method, args.filter((arg) => arg !== null).join(", ")].join(" ").trimEnd();
    log.debug(`dialled by URL: ${said}`); // the call itself has told the log
    if (method === "dialing") this.#endIn(limits.answerTimeoutSeconds, NO_ANSWER);
    if (method === "accepted") {
      this.#endIn(
        limits.maxDurationSeconds,
        `the call has lasted ${limits.maxDurationSeconds} s, as asked for`,
      );
    }
    if (method === "rejected" || method === "byed") this.#end(said);
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  /** The end of the connection cancels or hangs up. */
  #endIn(seconds: number | null, why: string): void {
    this[Symbol.dispose]();
    if (seconds !== null) this.#timer = this.#parts.clock.after(seconds * 1000, () => this.#tooLong(why));
  }

  #tooLong(why: string): void {
    this.#parts.log.info(`hanging up: ${why}`);
    this.#end(why);
  }

  #end(why: string): void {
    this[Symbol.dispose]();
    void this.#parts.client.close("NetConnection.Connect.Closed", why);
  }
}
