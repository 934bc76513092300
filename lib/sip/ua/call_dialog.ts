// The dialog of one call together with the way its requests leave: target, credentials, common headers.
// RFC 3261 sections 12.2.1.1 (requests in dialogs), 13.2.2.4 (ACK), 15.1.1 (BYE).
// Role: edge

import { setBody, type SipBody } from "../message/body.ts";
import { parseDecimal, parseParams, trimBlanks } from "../message/grammar.ts";
import type { SipRequest } from "../message/message.ts";
import type { Target } from "../message/target.ts";
import { formatSipUri } from "../message/uri.ts";
import { addRequestCapabilities } from "./capabilities.ts";
import { type ChallengedOptions, exchange, type RequestOutcome } from "./challenged_request.ts";
import type { Dialog } from "./dialog.ts";
import type { DialogRecord } from "./worker_events.ts";
import type { AgentContext } from "./sip_core.ts";
import { isReliable } from "../message/transports.ts";

/** What is known when a dialog comes into being. */
interface CallDialogOptions {
  readonly agent: AgentContext;
  readonly dialog: Dialog;
  /** The way the dialog was set up: used when the peer's own address leads nowhere. */
  readonly fallback: Target;
  /** The peer has named no address that can be used: everything goes by `fallback`. */
  readonly direct?: boolean;
}

export class CallDialog {
  readonly agent: AgentContext;
  readonly dialog: Dialog;
  readonly #fallback: Target;
  readonly #direct: boolean;
  #cached: { key: string; targets: readonly Target[] } | null = null;

  /** No I/O yet. */
  constructor(options: CallDialogOptions) {
    this.agent = options.agent;
    this.dialog = options.dialog;
    this.#fallback = options.fallback;
    this.#direct = options.direct ?? false;
  }

  createRequest(method: string, body: SipBody | null = null): SipRequest {
    const request = this.dialog.createRequest(method);
    addRequestCapabilities(request.headers, this.agent.core.userAgent, false);
    setBody(request, body);
    return request;
  }

  /** Where requests of this dialog go now, resolved once per next hop. */
  async targets(): Promise<readonly Target[]> {
    if (this.#direct) return [this.#fallback];
    const uri = this.dialog.nextHop;
    const key = formatSipUri(uri);
    if (this.#cached?.key === key) return this.#cached.targets;
    const askedBy = this.#fallback.endpoint.hostname; // the peer named it, in its Contact or Record-Route
    const hop = await this.agent.core.router.hopTo(uri, { askedBy });
    if ("type" in hop) {
      this.agent.log.warn(`${hop.reason}; using the address the call was set up with`);
      return [this.#fallback];
    }
    this.agent.credentials?.note(uri, hop.targets);
    // A caller behind a NAT names a TCP port nobody can connect to; its own connection still works.
    const targets = isReliable(hop.targets[0].transport) ? [...hop.targets, this.#fallback] : hop.targets;
    this.#cached = { key, targets };
    return targets;
  }

  async options(request: SipRequest, retry?: ChallengedOptions["retry"]): Promise<ChallengedOptions> {
    return {
      layer: this.agent.core.layer,
      request,
      targets: await this.targets(),
      credentials: this.agent.credentials,
      renumber: (sent) => this.dialog.renumber(sent),
      ...(retry === undefined ? {} : { retry }),
    };
  }

  /** Sends a request other than INVITE and waits for its final answer. */
  async exchange(
    request: SipRequest,
    options: { signal?: AbortSignal; retry?: ChallengedOptions["retry"] } = {},
  ): Promise<RequestOutcome> {
    return await exchange(await this.options(request, options.retry), options.signal);
  }

  /** What it takes to end the call from elsewhere. */
  get record(): DialogRecord {
    const { transport, endpoint } = this.#fallback;
    return this.dialog.record({ transport, endpoint });
  }

  /** Acknowledges a 2xx to one of our INVITEs, with our answer when the 2xx brought the offer. */
  async sendAck(invite: SipRequest, body: SipBody | null = null): Promise<void> {
    const ack = this.dialog.createAck(invite);
    ack.headers.set("User-Agent", this.agent.core.userAgent);
    setBody(ack, body);
    const [target = this.#fallback] = await this.targets();
    // RFC 3261 section 13.2.2.4 wants those of the INVITE; straight to somebody else's host they would be given away.
    if (this.agent.credentials?.mayGoTo(target) !== true) withoutCredentials(ack);
    this.agent.core.layer.sendAck(ack, target);
  }

  /** Ends the dialog with a BYE and waits for the answer. `reason` becomes a Reason header (RFC 3326). */
  async bye(reason: string | null = null): Promise<RequestOutcome> {
    const request = this.createRequest("BYE");
    if (reason !== null) request.headers.set("Reason", reason);
    this.dialog.terminate();
    return await this.exchange(request);
  }
}

function withoutCredentials({ headers }: SipRequest): void {
  headers.delete("Authorization");
  headers.delete("Proxy-Authorization");
}

/** A new offer of the peer, or its wish that we make one. Answer or refuse it within 10 seconds. */
export interface OfferEvent {
  readonly type: "offer";
  /** The offer; null: `answer(body)` sends ours and an "answer" event brings theirs. */
  readonly body: SipBody | null;
  /** Accepts with our answer; resolves true once the peer has it, false when the call or offer ended first. */
  answer(body: SipBody): Promise<boolean>;
  /** Keeps the session as it was; usually 488. */
  refuse(status: number, reason: string): void;
}

/** The call is over; always the last event. */
export interface EndedEvent {
  readonly type: "ended";
  /** Who ended it; "failure": the network or the peer broke down. */
  readonly by: "remote" | "local" | "failure";
  readonly reason: string;
}

/** One event of a call. INFO and MESSAGE have been answered with 200 already, those not understood with 415. */
export type CallEvent =
  | OfferEvent
  | { readonly type: "answer"; readonly body: SipBody }
  | { readonly type: "info"; readonly body: SipBody }
  | { readonly type: "message"; readonly body: SipBody }
  | EndedEvent;

export type ReofferOutcome =
  | { readonly type: "accepted"; readonly body: SipBody | null }
  | { readonly type: "refused"; readonly status: number; readonly reason: string };

/** The end that a BYE announces; its reason is the text, or the cause, of the Reason header (RFC 3326). */
export function endedByBye(bye: SipRequest): EndedEvent {
  const header = bye.headers.get("Reason") ?? "";
  const params = parseParams(header);
  const semicolon = header.indexOf(";");
  const protocol = trimBlanks(semicolon < 0 ? "" : header.slice(0, semicolon));
  const cause = parseDecimal(params.get("cause") ?? "", 99_999);
  const reason = params.get("text") ||
    (cause === null || protocol === "" ? "" : `${protocol} cause ${cause}`) || "hung up";
  return { type: "ended", by: "remote", reason };
}
