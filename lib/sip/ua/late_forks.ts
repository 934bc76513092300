// A 2xx of a fork that comes after its INVITE has been answered: acknowledged and ended politely.
// RFC 3261 section 13.2.2.4: every 2xx is acknowledged, calls that are not wanted get a BYE.
// Role: edge

import type { Logger } from "../../base/log.ts";
import { Dialog, namesItsTarget } from "./dialog.ts";
import { CallDialog } from "./call_dialog.ts";
import { KeptRequest } from "../transaction/transaction_requests.ts";
import { NO_BODY, type SipRequest, type SipResponse } from "../message/message.ts";
import { type AgentContext, inBackground } from "./sip_core.ts";
import type { Target } from "../message/target.ts";

/** INVITEs remembered; the oldest goes. A fork may answer for 32 s, and there may be dozens of calls a second. */
export const MAX_REMEMBERED_INVITES = 1024;

interface Remembered {
  readonly agent: AgentContext;
  readonly invite: KeptRequest;
  readonly target: Target;
}

export class LateForks {
  readonly #log: Logger;
  readonly #invites = new Map<string, Remembered>();

  /** Starts empty. */
  constructor(log: Logger) {
    this.#log = log;
  }

  remember(agent: AgentContext, invite: SipRequest, target: Target): void {
    const kept = new KeptRequest({ ...invite, body: NO_BODY });
    this.#invites.set(invite.headers.get("Call-ID") ?? "", { agent, invite: kept, target });
    if (this.#invites.size <= MAX_REMEMBERED_INVITES) return;
    for (const oldest of this.#invites.keys()) {
      this.#invites.delete(oldest);
      return;
    }
  }

  /** Takes a 2xx that belongs to no transaction: ACK and BYE when the INVITE was ours, nothing otherwise. */
  decline(response: SipResponse): void {
    const known = this.#invites.get(response.headers.get("Call-ID") ?? "");
    if (known === undefined) {
      this.#log.debug("dropped 2xx to an unknown INVITE");
      return;
    }
    void declineAnswer({ ...known, invite: known.invite.restore(), response });
  }
}

/** A 2xx that no call is made of. */
interface UnwantedAnswer {
  readonly agent: AgentContext;
  readonly invite: SipRequest;
  /** The 2xx. */
  readonly response: SipResponse;
  /** Where the INVITE went. */
  readonly target: Target;
}

/** ACK and BYE by what can be read of the 2xx: at least Call-ID and tags, or it would have come to nobody. */
export async function declineAnswer({ agent, invite, response, target }: UnwantedAnswer): Promise<void> {
  await inBackground(agent, "Declining an answer", async () => {
    const dialog = Dialog.fromResponse(invite, response);
    const link = new CallDialog({ agent, dialog, fallback: target, direct: !namesItsTarget(response) });
    await link.sendAck(invite);
    await link.bye();
  });
}
