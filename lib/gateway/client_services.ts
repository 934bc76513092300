// What a client's Context is given of the gateway: mostly what all clients share, and a few things of its own. One
// object without closures, because there are thousands of clients that only wait.
// Role: edge

import type { AccessPolicy } from "./access/access_policy.ts";
import type { Decision, DialTarget } from "./access/dial_rules.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { MediaFactory } from "../call/call_media.ts";
import { CallBroadcast } from "../call/call_broadcast.ts";
import type { CallRoom, CallServices } from "../call/leg.ts";
import type { CallRegistry, RtmpPeer } from "../call/registry.ts";
import type { DtmfMode } from "../config/config_settings.ts";
import type { DialPlan } from "../config/dial_plan.ts";
import type { LiveStreams } from "../live/streams.ts";
import type { CallerFields } from "../sip/message/extra_headers.ts";

export interface SharedServices {
  readonly clock: Clock;
  /** How touch tones are sent. */
  readonly dtmf: DtmfMode;
  /** Whether a 3xx is followed. */
  readonly redirect: boolean;
  /** Where dialled numbers go. */
  readonly dialPlan: DialPlan;
  readonly room: CallRoom;
  /** Where calls are listed. */
  readonly calls: CallRegistry;
  /** Whom clients may call. */
  readonly access: Pick<AccessPolicy, "mayCall" | "mayDial">;
  /** Where the sides of calls are published. */
  readonly streams: LiveStreams;
}

/** What one client's services are made of. */
export interface ClientServicesParts {
  readonly shared: SharedServices;
  /** The client's log. */
  readonly log: Logger;
  /** Opens the media of its calls. */
  readonly media: MediaFactory;
  /** What is different about its calls; absent: nothing. */
  readonly fields?: CallerFields;
  /** Whether it is told more about callers; absent: it is not. */
  readonly tellsCallerHeaders?: boolean;
  /** Its connection; calls are counted by its address. */
  readonly peer: RtmpPeer;
  /** Its SIP address, under which its calls are published; null: they are not. */
  readonly published: string | null;
}

export class ClientServices implements CallServices {
  readonly log: Logger;
  readonly media: MediaFactory;
  readonly fields: CallerFields;
  readonly tellsCallerHeaders: boolean;
  readonly #shared: SharedServices;
  readonly #peer: RtmpPeer;
  readonly #published: string | null;

  /** Only keeps them. */
  constructor(parts: ClientServicesParts) {
    const { shared, log, media, peer, published, fields = {}, tellsCallerHeaders = false } = parts;
    this.log = log;
    this.media = media;
    this.fields = fields;
    this.tellsCallerHeaders = tellsCallerHeaders;
    this.#shared = shared;
    this.#peer = peer;
    this.#published = published;
  }

  get clock(): Clock {
    return this.#shared.clock;
  }

  get dtmf(): DtmfMode {
    return this.#shared.dtmf;
  }

  get redirect(): boolean {
    return this.#shared.redirect;
  }

  get dialPlan(): DialPlan {
    return this.#shared.dialPlan;
  }

  get room(): CallRoom {
    return this.#shared.room;
  }

  get askedBy(): string {
    return this.#peer.address;
  }

  get calls(): CallRegistry {
    return this.#shared.calls;
  }

  rtmpPeer(): RtmpPeer {
    return this.#peer;
  }

  mayCall(target: DialTarget): Decision {
    return this.#shared.access.mayCall(this.#peer.address, target);
  }

  mayMessage(target: DialTarget): Decision {
    return this.#shared.access.mayDial(target);
  }

  openBroadcast(): CallBroadcast | null {
    return this.#published === null ? null : new CallBroadcast(this.#shared.streams, this.#published);
  }
}
