// One request, one final answer, as a promise: REGISTER, BYE, MESSAGE, INFO, OPTIONS, UPDATE, PRACK.
// RFC 3261 section 8.1.3. The wait is bounded by the transaction's own timers (64*T1 per target).
// Role: edge

import { type ChallengedOptions, ChallengedRequest } from "./challenged_request.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import type { Target } from "../message/target.ts";

/** What became of a request; `target` is the server that answered. */
export type Reply =
  | {
    readonly type: "response";
    readonly response: SipResponse;
    readonly request: SipRequest;
    readonly target: Target | null;
  }
  | { readonly type: "failed"; readonly status: 403 | 408 | 487 | 503; readonly reason: string };

/** Sends a request and waits for its final answer; an abort ends the wait (487), not the transaction. */
export function exchange(options: ChallengedOptions, signal?: AbortSignal): Promise<Reply> {
  if (signal?.aborted === true) return Promise.resolve(givenUp());
  return new Promise((resolve) => {
    const onAbort = (): void => resolve(givenUp());
    signal?.addEventListener("abort", onAbort, { once: true });
    const settle = (reply: Reply): void => {
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

function givenUp(): Reply {
  return { type: "failed", status: 487, reason: "Request Terminated" };
}

export function statusOf(reply: Reply): number {
  return reply.type === "response" ? reply.response.status : reply.status;
}

export function reasonOf(reply: Reply): string {
  return reply.type === "response" ? reply.response.reason : reply.reason;
}
