// The settings of a call's media: whose packets are believed to be the peer's.
// Role: wire

import type { SourceRule } from "../rtp/remote_lock.ts";

/** The settings of media, by their long names. */
export interface MediaSettings {
  /** Who may send a call's media first. */
  "rtp-source": SourceRule;
}

/** Every rule, the default first. */
export const sourceRules = ["nat", "strict", "any"] as const satisfies readonly SourceRule[];

/** Right for phones behind a NAT whose SIP server is outside of it. */
export const defaultMedia: Readonly<MediaSettings> = {
  "rtp-source": "nat",
};
