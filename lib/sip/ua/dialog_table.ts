// Which call a request inside a dialog belongs to.
// RFC 3261 section 12.2.2; the keys are those of matching.ts.
// Role: machine

import { callIdOf, dialogIdOfRequest, tagsOf } from "../message/matching.ts";
import type { SipRequest } from "../message/message.ts";
import type { ServerTransactionHandle } from "../transaction/server_transaction_handle.ts";

/** Whoever handles the requests of one dialog. */
export interface DialogUser {
  /** Takes a request that arrived inside the dialog and answers it. */
  receive(request: SipRequest, transaction: ServerTransactionHandle): void;
}

export class DialogTable {
  readonly #users = new Map<string, DialogUser>();
  readonly #inviters = new Map<string, DialogUser>();

  /** How many dialogs there are. */
  get size(): number {
    return this.#users.size;
  }

  /** Requests of the dialog `id` go to `user` from now on. */
  add(id: string, user: DialogUser): void {
    this.#users.set(id, user);
  }

  /** Forgets a dialog, if it still belongs to `user`. */
  remove(id: string, user: DialogUser): void {
    if (this.#users.get(id) === user) this.#users.delete(id);
  }

  /** The user of the dialog a request belongs to, or null (answer 481). */
  find(request: SipRequest): DialogUser | null {
    return this.#users.get(dialogIdOfRequest(request)) ?? this.#inviterOf(request);
  }

  /** A BYE for this INVITE of ours, by a far end that no response of ever arrived from, goes to `inviter`. */
  addInvite(callId: string, localTag: string, inviter: DialogUser): void {
    this.#inviters.set(inviteKey(callId, localTag), inviter);
  }

  /** The INVITE has its final response. */
  removeInvite(callId: string, localTag: string): void {
    this.#inviters.delete(inviteKey(callId, localTag));
  }

  #inviterOf(request: SipRequest): DialogUser | null {
    if (request.method !== "BYE" || this.#inviters.size === 0) return null;
    return this.#inviters.get(inviteKey(callIdOf(request), tagsOf(request).to)) ?? null;
  }
}

function inviteKey(callId: string, localTag: string): string {
  return `${callId}\n${localTag}`;
}
