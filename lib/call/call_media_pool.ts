// What the media of all calls share: RTP ports, one ticker, the limit of calls.
// Role: edge

import type { Clock } from "../base/clock.ts";
import { Ticker } from "../base/ticker.ts";
import { messageOf, TransportError, WireError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { Scope } from "../base/scope.ts";
import { LocalTally, type Tally } from "../base/tally.ts";
import { Codecs } from "../codecs/codecs.ts";
import { isIpAddress, isUnspecified, type TargetGuard } from "../net/endpoint.ts";
import { type DnsResolver, lookUpAddress } from "../net/dns.ts";
import { denoSockets, type Sockets } from "../net/sockets.ts";
import type { AddressPolicy } from "../net/route.ts";
import { RtpPorts } from "../net/rtp_ports.ts";
import { withAddresses } from "../sdp/connection_names.ts";
import { parseSdp } from "../sdp/description.ts";
import type { SipBody } from "../sip/message/body.ts";
import type { MediaFactory, MediaOpening } from "./call_media.ts";
import { flashCapability, planCodecs, type RtmpCapability } from "./codec_tokens.ts";
import type { Config } from "../config/config.ts";
import { MediaContext, type MediaContextOptions, type MediaServices } from "./media_context.ts";
import { objectionTo } from "./negotiation.ts";

/** How long an answer may wait for the host names in an offer. */
const LOOK_UP_MS = 2_000;

/** Period of the tick that drives reordering and RTCP. */
const TICK_MS = 10;

type CallOptions = Omit<MediaContextOptions, "services" | "bind" | "onEnd">;

/** What all clients of one rate share. */
interface MediaDoor {
  readonly capability: RtmpCapability;
  open(call: CallOptions): MediaOpening;
  addressFacing(offer: SipBody | null, hop: string): string;
  withAddresses(description: SipBody): Promise<SipBody>;
}

/** The factory of one client: there are thousands that never call. */
class ClientMedia implements MediaFactory {
  readonly #door: MediaDoor;
  readonly #client: Pick<MediaContextOptions, "originMs" | "log" | "announced">;

  constructor(door: MediaDoor, client: Pick<MediaContextOptions, "originMs" | "log" | "announced">) {
    this.#door = door;
    this.#client = client;
  }

  open(localAddress: string, codecs: readonly string[]): MediaOpening {
    const plan = planCodecs(codecs, this.#door.capability);
    return this.#door.open({ ...this.#client, localAddress, plan });
  }

  addressFacing(offer: SipBody | null, hop: string): string {
    return this.#door.addressFacing(offer, hop);
  }

  withAddresses(description: SipBody): Promise<SipBody> {
    return this.#door.withAddresses(description);
  }

  objection(offer: SipBody): string | null {
    return objection(offer, (description) => objectionTo(description, this.#door.capability));
  }
}

/** What the media take from outside. */
export interface CallMediaPoolDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Where lines go. */
  readonly log: Logger;
  /** Host names in session descriptions; absent: they are not resolved. */
  readonly dns?: Pick<DnsResolver, "a" | "aaaa">;
  /** What turns one codec into another; absent: audio only passes through. */
  readonly codecs?: Codecs;
  /** Where may be sent to; absent: everywhere. */
  readonly guard?: TargetGuard;
  /** Whose sockets carry the media; absent: those of the runtime. */
  readonly sockets?: Pick<Sockets, "bindUdp">;
}

/** Opens the media of calls within the gateway's limits. */
export class CallMediaPool implements AsyncDisposable {
  readonly #config: Config;
  readonly #services: MediaServices;
  readonly #addresses: Pick<AddressPolicy, "addressFor">;
  readonly #calls: Tally;
  readonly #dns: CallMediaPoolDeps["dns"];
  readonly #doors: Readonly<Record<RtmpCapability["rate"], MediaDoor>>;

  /** Binds nothing yet. @param environment without codecs, audio only passes through as it is */
  constructor(
    config: Config,
    environment: CallMediaPoolDeps,
    addresses: Pick<AddressPolicy, "addressFor">,
    calls: Tally = new LocalTally(),
  ) {
    this.#calls = calls;
    this.#dns = environment.dns;
    this.#addresses = addresses;
    const { clock, random, codecs = new Codecs(new Map()), sockets = denoSockets, guard } = environment;
    const log = environment.log.category("media");
    this.#config = config;
    this.#services = {
      sourceRule: config.rtp.sourceRule,
      timeouts: config.rtp.timeouts,
      ...(guard !== undefined && { guard }),
      clock,
      random,
      log,
      codecs,
      ports: new RtpPorts(
        { min: config.rtp.portMin, max: config.rtp.portMax },
        clock,
        (at, options) => sockets.bindUdp(at, options),
        random,
      ),
      ticker: new Ticker(clock, TICK_MS, (error) => log.error("a media tick failed", error)),
      scope: new Scope("media", { log }),
    };
    this.#doors = { wideband: this.#doorFor("wideband"), narrowband: this.#doorFor("narrowband") };
  }

  /** Calls that have media now. */
  get calls(): number {
    return this.#calls.here;
  }

  /** RTP port pairs in use now. */
  get rtpPorts(): number {
    return this.#services.ports.inUse;
  }

  /**
   * The factory of one client. Its RTMP time starts now.
   * @param announced whether players are told first which streams there will be
   */
  factory(rate: RtmpCapability["rate"], log: Logger, announced = false): MediaFactory {
    const originMs = this.#services.clock.now();
    return new ClientMedia(this.#doors[rate], { originMs, log, announced });
  }

  /** Stops the tick and waits for the sockets to be silent; every call is over by now. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#services.ticker[Symbol.dispose]();
    await this.#services.scope.close();
  }

  #doorFor(rate: RtmpCapability["rate"]): MediaDoor {
    return {
      capability: flashCapability(rate, this.#services.codecs.transcodable),
      open: (call) => this.#open(call),
      addressFacing: (offer, hop) => this.#addressFacing(offer, hop),
      withAddresses: (description) => this.#withAddresses(description),
    };
  }

  async #withAddresses(description: SipBody): Promise<SipBody> {
    const dns = this.#dns;
    if (dns === undefined) return description;
    const options = { dns, clock: this.#services.clock, withinMs: LOOK_UP_MS };
    const lookUp = (name: string, family: 4 | 6) => lookUpAddress(name, family, options);
    const bytes = await withAddresses(description.bytes, lookUp);
    return bytes === description.bytes ? description : { ...description, bytes };
  }

  #addressFacing(offer: SipBody | null, hop: string): string {
    const remote = offer === null ? null : mediaAddressOf(offer);
    return remote === null ? hop : this.#addresses.addressFor({ hostname: remote, port: 9 });
  }

  #open(call: CallOptions): MediaOpening {
    if (call.plan.formats.length === 0) {
      return { type: "none", reason: `none of these codecs can be used: ${call.plan.ignored.join(", ")}` };
    }
    const { everywhere } = this.#calls;
    if (everywhere >= this.#config.limit.calls) {
      return { type: "failed", reason: `there are ${everywhere} calls, the most that are allowed` };
    }
    try {
      const media = new MediaContext({
        ...call,
        services: this.#services,
        bind: this.#config.rtp.bind,
        onEnd: () => this.#calls.add(-1),
      });
      this.#calls.add(1);
      return { type: "open", media };
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      return { type: "failed", reason: messageOf(error) };
    }
  }
}

/** Where the peer wants its media, when it says so with an address that can be reached. */
function mediaAddressOf(offer: SipBody): string | null {
  try {
    const { connection, media } = parseSdp(offer.bytes);
    const address = media.find((section) => section.port !== 0)?.connection ?? connection;
    return address !== null && isIpAddress(address) && !isUnspecified(address) ? address : null;
  } catch (error) {
    if (error instanceof WireError) return null; // the offer is refused for it later
    throw error;
  }
}

function objection(
  body: SipBody,
  judge: (offer: ReturnType<typeof parseSdp>) => string | null,
): string | null {
  try {
    return judge(parseSdp(body.bytes));
  } catch (error) {
    if (error instanceof WireError) return `the session description cannot be read: ${error.message}`;
    throw error;
  }
}
