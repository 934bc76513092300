// The settings of a call's media: whose packets are believed to be the peer's, and for how long they may be missing.
// Role: wire

import type { MediaTimeouts } from "../rtp/media_watch.ts";
import type { SourceRule } from "../rtp/remote_lock.ts";

export interface MediaSettings {
  /** Who may send a call's media first. */
  "rtp-source": SourceRule;
  /** Seconds after the answer without anything of the peer after which a call ends; 0: never. */
  "media-timeout-initial": number;
  /** The same, later in the call. */
  "media-timeout": number;
}

/** Every rule, the default first. */
export const sourceRules = ["nat", "strict", "any"] as const satisfies readonly SourceRule[];

/** Right for phones behind a NAT whose SIP server is outside of it. */
export const defaultMedia: Readonly<MediaSettings> = {
  "rtp-source": "nat",
  "media-timeout-initial": 30,
  "media-timeout": 60,
};

export function timeoutsOf(settings: MediaSettings): MediaTimeouts {
  return {
    initialMs: settings["media-timeout-initial"] * 1000,
    silenceMs: settings["media-timeout"] * 1000,
  };
}
