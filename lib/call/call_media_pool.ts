// What the media of all calls share: RTP ports, one ticker, the limit of calls.
// Role: edge

import { Ticker } from "../base/ticker.ts";
import { messageOf, TransportError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Runtime } from "../base/runtime.ts";
import { Scope } from "../base/scope.ts";
import { type Counter, LocalCounter } from "../base/counter.ts";
import { Codecs } from "../codecs/codecs.ts";
import type { CodecRegistry } from "../codecs/registry.ts";
import { isIpAddress, isUnspecified, type TargetGuard } from "../net/endpoint.ts";
import { type DnsResolver, lookUpAddress } from "../net/dns.ts";
import { denoSockets, type Sockets } from "../net/sockets.ts";
import type { AddressPolicy } from "../net/route.ts";
import { RtpPorts } from "../net/rtp_ports.ts";
import { withAddresses } from "../sdp/connection_names.ts";
import type { SipBody } from "../sip/message/body.ts";
import type { MediaFactory, MediaOpening } from "./call_media.ts";
import { flashCapability, planCodecs, type RtmpCapability } from "./codec_tokens.ts";
import type { Config } from "../config/config.ts";
import { readSdpBody } from "./media_session.ts";
import { MediaContext, type MediaContextOptions, type MediaServices } from "./media_context.ts";
import { objectionTo } from "./negotiation.ts";

/** How long an answer may wait for the host names in an offer. */
const LOOK_UP_MS = 2_000;

/** Period of the tick that drives reordering and RTCP. */
const TICK_MS = 10;

type ClientOptions = Pick<MediaContextOptions, "originMs" | "log" | "announced">;

/** The factory of one client: there are thousands that never call. */
class ClientMedia implements MediaFactory {
  readonly #pool: CallMediaPool;
  readonly #capability: RtmpCapability;
  readonly #client: ClientOptions;

  constructor(pool: CallMediaPool, capability: RtmpCapability, client: ClientOptions) {
    this.#pool = pool;
    this.#capability = capability;
    this.#client = client;
  }

  get registry(): CodecRegistry {
    return this.#capability.registry;
  }

  open(localAddress: string, codecs: readonly string[]): MediaOpening {
    const plan = planCodecs(codecs, this.#capability);
    return this.#pool.open({ ...this.#client, localAddress, plan });
  }

  addressFacing(offer: SipBody | null, hop: string): string {
    return this.#pool.addressFacing(offer, hop);
  }

  withAddresses(description: SipBody): Promise<SipBody> {
    return this.#pool.withAddresses(description);
  }

  objection(offer: SipBody): string | null {
    const description = readSdpBody(offer);
    return typeof description === "string"
      ? `the session description cannot be read: ${description}`
      : objectionTo(description, this.#capability);
  }
}

interface CallMediaPoolDeps extends Runtime {
  /** Host names in session descriptions; absent: they are not resolved. */
  readonly dns?: Pick<DnsResolver, "a" | "aaaa">;
  /** What turns one codec into another; absent: audio only passes through. */
  readonly codecs?: Codecs;
  /** Where may be sent to; absent: everywhere. */
  readonly guard?: TargetGuard;
  /** Whose sockets carry the media; absent: those of the runtime. */
  readonly sockets?: Pick<Sockets, "bindUdp">;
}

export class CallMediaPool implements AsyncDisposable {
  readonly #config: Config;
  readonly #services: MediaServices;
  readonly #addresses: Pick<AddressPolicy, "addressFor">;
  readonly #calls: Counter;
  readonly #dns: CallMediaPoolDeps["dns"];
  readonly #capabilities: Readonly<Record<RtmpCapability["rate"], RtmpCapability>>;

  /** Binds nothing yet. @param environment without codecs, audio only passes through as it is */
  constructor(
    config: Config,
    environment: CallMediaPoolDeps,
    addresses: Pick<AddressPolicy, "addressFor">,
    calls: Counter = new LocalCounter(),
  ) {
    this.#calls = calls;
    this.#dns = environment.dns;
    this.#addresses = addresses;
    const { clock, random, codecs = new Codecs(new Map()), sockets = denoSockets } = environment;
    const log = environment.log.category("media");
    const { portMin: min, portMax: max, sourceRule, timeouts } = config.rtp;
    this.#config = config;
    this.#services = {
      ...environment,
      log,
      codecs,
      sourceRule,
      timeouts,
      ports: new RtpPorts({ min, max }, clock, (at, options) => sockets.bindUdp(at, options), random),
      ticker: new Ticker(clock, TICK_MS, (error) => log.error("a media tick failed", error)),
      scope: new Scope("media", { log }),
    };
    this.#capabilities = {
      wideband: flashCapability("wideband", codecs.transcodable, true, codecs.registry),
      narrowband: flashCapability("narrowband", codecs.transcodable, true, codecs.registry),
    };
  }

  get registry(): CodecRegistry {
    return this.#services.codecs.registry;
  }

  get calls(): number {
    return this.#calls.here;
  }

  get rtpPorts(): number {
    return this.#services.ports.inUse;
  }

  /**
   * The factory of one client. Its RTMP time starts now.
   * @param announced whether players are told first which streams there will be
   */
  factory(rate: RtmpCapability["rate"], log: Logger, announced = false): MediaFactory {
    const originMs = this.#services.clock.now();
    return new ClientMedia(this, this.#capabilities[rate], { originMs, log, announced });
  }

  /** Stops the tick and waits for the sockets to be silent; every call is over by now. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#services.ticker[Symbol.dispose]();
    await this.#services.scope.close();
  }

  async withAddresses(description: SipBody): Promise<SipBody> {
    const dns = this.#dns;
    if (dns === undefined) return description;
    const options = { dns, clock: this.#services.clock, withinMs: LOOK_UP_MS };
    const lookUp = (name: string, family: 4 | 6) => lookUpAddress(name, family, options);
    const bytes = await withAddresses(description.bytes, lookUp);
    return bytes === description.bytes ? description : { ...description, bytes };
  }

  addressFacing(offer: SipBody | null, hop: string): string {
    const remote = offer === null ? null : mediaAddressOf(offer);
    return remote === null ? hop : this.#addresses.addressFor({ hostname: remote, port: 9 });
  }

  open(call: Omit<MediaContextOptions, "services" | "bind" | "onEnd">): MediaOpening {
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
  const description = readSdpBody(offer);
  if (typeof description === "string") return null; // the offer is refused for it later
  const { connection, media } = description;
  const address = media.find((section) => section.port !== 0)?.connection ?? connection;
  return address !== null && isIpAddress(address) && !isUnspecified(address) ? address : null;
}
