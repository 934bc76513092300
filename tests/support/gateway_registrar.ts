// A registrar on loopback that knows one password and writes down what it is asked, for tests of the gateway whole.
// Role: edge

import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { DigestVerifier } from "./digest_verifier.ts";
import { createResponse, type SipMessage, type SipRequest } from "../../lib/sip/message/message.ts";
import { type Flow, targetOf } from "../../lib/sip/message/target.ts";
import { SipTransport } from "../../lib/sip/transport/transport.ts";

/** The password of everybody. */
export const PASSWORD = "open sesame";

/** Answers REGISTER. */
export class Registrar implements AsyncDisposable {
  /** `+LINE` for a binding, `-LINE` for its end, `?` for a challenge, in order; LINE numbers the contacts. */
  readonly log: string[] = [];
  /** While it is set, the first REGISTER with these credentials waits for it. */
  hold: { readonly username: string; readonly until: Promise<void> } | null = null;
  readonly #transport = SipTransport.open({ bind: "127.0.0.1", port: 0, fallback: false }, {
    clock: systemClock,
    log: silentLog,
  });
  readonly #verifier = new DigestVerifier({ realm: "test" }, { clock: systemClock, random: systemRandom });
  readonly #contacts: string[] = [];

  constructor() {
    this.#transport.onMessage = (message, flow) => void this.#receive(message, flow);
  }

  /** Its port. */
  get port(): number {
    return this.#transport.port;
  }

  /** An address of record here. */
  address(user: string): string {
    return `${user}@127.0.0.1:${this.port}`;
  }

  async #receive(message: SipMessage, flow: Flow): Promise<void> {
    if (message.kind !== "request" || message.method !== "REGISTER") return;
    const verdict = this.#verifier.verify(message, "user", () => PASSWORD);
    if (verdict.type !== "ok") {
      this.log.push("?");
      const challenge = this.#verifier.challenge(message, "user", verdict.type === "stale", "registrar");
      return void this.#transport.send(challenge, targetOf(flow));
    }
    const { hold } = this;
    if (hold?.username === verdict.username) {
      this.hold = null;
      await hold.until;
    }
    this.#accept(message, flow);
  }

  #accept(request: SipRequest, flow: Flow): void {
    const contact = request.headers.get("Contact") ?? "";
    const line = /;line=(\w+)/.exec(contact)?.[1] ?? "none";
    if (!this.#contacts.includes(line)) this.#contacts.push(line);
    this.log.push(`${request.headers.get("Expires") === "0" ? "-" : "+"}${this.#contacts.indexOf(line) + 1}`);
    const response = createResponse(request, 200, undefined, "registrar");
    response.headers.set("Contact", contact);
    void this.#transport.send(response, targetOf(flow));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }
}
