// A request that is sent again when the peer wants credentials (401, 407) or other terms (422, 423).
// RFC 3261 sections 8.1.3.5 and 22; every retry has the next CSeq and the same Call-ID and From tag.
// Role: machine

import type { SipRequest, SipResponse } from "../message/message.ts";
import type { Target } from "../message/target.ts";
import type { ClientHandle, FailoverNotice } from "../transaction/client_handle.ts";
import type { TransactionLayer } from "../transaction/transaction_layer.ts";
import type { Answers, DigestCredentials } from "./credentials.ts";

/** Most times one request is sent again with something changed. */
export const MAX_RETRIES = 6;

/** The reason of a 408 that is our own; siprtmp's clients know it in this spelling. */
export const REQUEST_TIMEOUT = "Request timeout";

export interface ChallengedOptions {
  /** Where requests go out. */
  readonly layer: Pick<TransactionLayer, "request">;
  /** The request without Via. */
  readonly request: SipRequest;
  /** Where it goes, in failover order. */
  readonly targets: readonly Target[];
  /** Answers challenges; null: challenges are refusals. */
  readonly credentials: Pick<DigestCredentials, "authorize" | "reuse" | "accepted" | "mayGoTo"> | null;
  readonly renumber: (request: SipRequest) => SipRequest;
  /** A changed copy (already renumbered) to send after a refusal that is no challenge; null: it stands. */
  readonly retry?: (response: SipResponse, request: SipRequest) => SipRequest | null;
  /** Told when another target is tried. */
  readonly onFailover?: (notice: FailoverNotice) => void;
}

/** Where the outcome goes. `request` is the one that was answered, as it was sent. */
interface ChallengedOutlets {
  /** A 1xx. */
  provisional(response: SipResponse, request: SipRequest): void;
  /** A 2xx; for INVITE that of the first fork. */
  success(response: SipResponse, request: SipRequest): void;
  /** A 3xx to 6xx that stands. */
  refused(response: SipResponse, request: SipRequest): void;
  /** No answer (408) or no way to send (503). */
  failed(status: 408 | 503, reason: string): void;
  /** A 2xx of another server than the one that was told of, to an INVITE: to be ended. */
  surplus?(response: SipResponse, request: SipRequest, target: Target): void;
}

/** One request with all its retries; starts at once. */
export class ChallengedRequest {
  readonly #options: ChallengedOptions;
  readonly #outlets: ChallengedOutlets;
  #targets: readonly Target[];
  #handle: ClientHandle;
  #request: SipRequest;
  #retries = 0;
  #cancelled = false;

  /** Sends the request. Outlets are never called from inside this constructor. */
  constructor(options: ChallengedOptions, outlets: ChallengedOutlets) {
    this.#options = options;
    this.#outlets = outlets;
    this.#targets = options.targets;
    this.#request = withKnownCredentials(options);
    this.#handle = this.#send();
  }

  /** The target in use; null when there was none. */
  get target(): Target | null {
    return this.#handle.target;
  }

  /** Cancels an INVITE: held until a 1xx came (RFC 3261 section 9.1); nothing is sent again any more. */
  cancel(reason?: string): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#handle.cancelRequest(reason);
  }

  #send(): ClientHandle {
    const request = this.#request;
    return this.#options.layer.request(request, this.#targets, {
      response: (response) => this.#receive(response, request),
      timeout: () => this.#outlets.failed(408, REQUEST_TIMEOUT),
      transportError: (reason) => this.#outlets.failed(503, reason),
      surplus: (response, target) => this.#outlets.surplus?.(response, request, target),
      failover: (notice) => this.#options.onFailover?.(notice),
    });
  }

  #receive(response: SipResponse, request: SipRequest): void {
    if (response.status < 200) return this.#outlets.provisional(response, request);
    if (response.status < 300) {
      this.#options.credentials?.accepted(request.method, request.headers.get("Call-ID"));
      return this.#outlets.success(response, request);
    }
    if (response.status === 401 || response.status === 407) return this.#challenged(response, request);
    const next = this.#isLast ? null : this.#options.retry?.(response, request) ?? null;
    if (next === null) return this.#outlets.refused(response, request);
    this.#again(next);
  }

  /** Whether this request is sent no more. */
  get #isLast(): boolean {
    return this.#cancelled || this.#retries >= MAX_RETRIES;
  }

  /** The answer may have to wait for the names of the user's servers. */
  #challenged(response: SipResponse, request: SipRequest): void {
    const { target } = this.#handle;
    const answers = this.#isLast || target === null
      ? null
      : this.#options.credentials?.authorize(response, request, target) ?? null;
    if (answers instanceof Promise) {
      void answers.then((settled) => this.#answer(settled, response, request));
    } else this.#answer(answers, response, request);
  }

  #answer(answers: Answers, response: SipResponse, request: SipRequest): void {
    if (answers === null || this.#isLast) return this.#outlets.refused(response, request);
    const next = this.#options.renumber(request);
    setCredentials(next, answers);
    this.#again(next);
  }

  #again(next: SipRequest): void {
    this.#retries += 1;
    this.#preferAnswering(next);
    this.#request = next;
    this.#handle = this.#send();
  }

  /** A repetition goes to the server that asked for it first (RFC 3263 section 4); credentials to no unknown server. */
  #preferAnswering(next: SipRequest): void {
    const { credentials } = this.#options;
    const answering = this.#handle.target;
    if (answering === null) return;
    const others = this.#targets.filter((target) => target !== answering);
    const isOpen = (target: Target): boolean =>
      !hasCredentials(next) || credentials?.mayGoTo(target) === true;
    this.#targets = [answering, ...others.filter(isOpen)];
  }
}

/** Made with credentials where the request is known to need them. */
function withKnownCredentials({ request, credentials, targets }: ChallengedOptions): SipRequest {
  const answers = credentials?.reuse(request, targets) ?? [];
  if (answers.length > 0) setCredentials(request, answers);
  return request;
}

function hasCredentials({ headers }: SipRequest): boolean {
  return headers.has("Authorization") || headers.has("Proxy-Authorization");
}

function setCredentials(request: SipRequest, answers: readonly { header: string; value: string }[]): void {
  for (const { header } of answers) request.headers.delete(header);
  for (const { header, value } of answers) request.headers.add(header, value);
}

/** What became of a request; `target` is the server that answered. */
export type RequestOutcome =
  | {
    readonly type: "response";
    readonly response: SipResponse;
    readonly request: SipRequest;
    readonly target: Target | null;
  }
  | { readonly type: "failed"; readonly status: 403 | 408 | 487 | 503; readonly reason: string };

/** Sends a request and waits for its final answer; an abort ends the wait (487), not the transaction. */
export function exchange(options: ChallengedOptions, signal?: AbortSignal): Promise<RequestOutcome> {
  if (signal?.aborted === true) return Promise.resolve(givenUp());
  return new Promise((resolve) => {
    const onAbort = (): void => resolve(givenUp());
    signal?.addEventListener("abort", onAbort, { once: true });
    const settle = (reply: RequestOutcome): void => {
      signal?.removeEventListener("abort", onAbort);
      resolve(reply);
    };
    const answered = (response: SipResponse, request: SipRequest): void =>
      settle({ type: "response", response, request, target: sent.target });
    const sent = new ChallengedRequest(options, {
      provisional: () => {},
      success: answered,
      refused: answered,
      failed: (status, reason) => settle({ type: "failed", status, reason }),
    });
  });
}

function givenUp(): RequestOutcome {
  return { type: "failed", status: 487, reason: "Request Terminated" };
}

export function statusOf(reply: RequestOutcome): number {
  return reply.type === "response" ? reply.response.status : reply.status;
}

export function reasonOf(reply: RequestOutcome): string {
  return reply.type === "response" ? reply.response.reason : reply.reason;
}
