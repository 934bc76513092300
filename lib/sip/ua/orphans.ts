// Ends calls whose keeper has broken down: a BYE for each, from what had been written down of its dialog. It leaves
// from the port the calls had, so it takes the way that their requests took.
// RFC 3261 section 15.1.1; the Reason is that of RFC 3326.
// Role: edge

import { WireError } from "../../base/errors.ts";
import { CallDialog } from "./call_dialog.ts";
import { Dialog } from "./dialog.ts";
import { statusOf } from "./exchange.ts";
import type { DialogRecord } from "./neighbours.ts";
import { ServiceRoute } from "./service_route.ts";
import { type AgentContext, type Ending, inBackground, type SipCore } from "./sip_core.ts";

/** Told to the far end. */
const REASON = 'SIP ;cause=500 ;text="the gateway broke down"';

/**
 * Sends the BYEs and waits for their answers; how many were answered with 2xx. Challenges are refusals here: nobody
 * knows the password any more.
 */
export async function hangUpOrphans(core: SipCore, records: readonly DialogRecord[]): Promise<number> {
  const statuses = await Promise.all(records.map((record) => hangUp(core, record)));
  return statuses.filter((status) => status >= 200 && status < 300).length;
}

async function hangUp(core: SipCore, record: DialogRecord): Promise<number> {
  const dialog = restored(core, record);
  if (dialog === null) return 0;
  const identity = { aor: dialog.local.uri, displayName: null, username: null, password: null };
  const { log } = core;
  const nobody = {
    proxy: null,
    serviceRoute: new ServiceRoute(),
    line: "",
    credentials: null,
    endings: new Set<Ending>(),
  };
  const agent: AgentContext = { core, identity, log, ...nobody };
  let status = 0;
  await inBackground(agent, "Ending an orphaned call", async () => {
    const link = new CallDialog({ agent, dialog, fallback: record.fallback });
    status = statusOf(await link.bye(REASON));
    log.debug(`BYE of orphaned call ${dialog.callId} answered with ${status}`);
  });
  return status;
}

function restored(core: SipCore, record: DialogRecord): Dialog | null {
  try {
    return Dialog.restore(record);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    core.log.warn(`An orphaned call cannot be ended: ${error.message}`);
    return null;
  }
}
