// A 2xx of a fork that comes after its INVITE has been answered: acknowledged and ended politely.
// RFC 3261 section 13.2.2.4: every 2xx is acknowledged, calls that are not wanted get a BYE.
// Role: edge
// Answers to: nothing; siprtmp took the first 2xx and let the others ring on.

import { WireError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { CallDialog } from "./call_dialog.ts";
import { Dialog } from "./dialog.ts";
import { KeptRequest } from "./kept_request.ts";
import { NO_BODY, type SipRequest, type SipResponse } from "./message.ts";
import { type AgentContext, inBackground } from "./sip_core.ts";
import type { Target } from "./target.ts";

/** INVITEs remembered; the oldest goes. A fork may answer for 32 s, and there may be dozens of calls a second. */
export const MAX_REMEMBERED_INVITES = 1024;

interface Remembered {
  readonly agent: AgentContext;
  readonly invite: KeptRequest;
  readonly target: Target;
}

/** Remembers our INVITEs for their late answers. */
export class LateForks {
  readonly #log: Logger;
  readonly #invites = new Map<string, Remembered>();

  /** Starts empty. */
  constructor(log: Logger) {
    this.#log = log;
  }

  /** Remembers an INVITE whose attempt is over. */
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
      this.#log.debug("A 2xx to an INVITE that nobody here sent was dropped");
      return;
    }
    const { agent, target } = known;
    const invite = known.invite.restore();
    void inBackground(agent, "Declining a late fork", async () => {
      const dialog = readDialog(agent, invite, response);
      if (dialog === null) return;
      const link = new CallDialog({ agent, dialog, fallback: target });
      await link.sendAck(invite);
      await link.bye();
    });
  }
}

function readDialog(agent: AgentContext, invite: SipRequest, response: SipResponse): Dialog | null {
  try {
    return Dialog.fromResponse(invite, response);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    agent.log.warn(`A late 2xx cannot be used: ${error.message}`);
    return null;
  }
}
