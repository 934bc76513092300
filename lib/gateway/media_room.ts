// What the media of all calls share: RTP ports, one ticker, the limit of calls.
// Role: edge
// Answers to: the module-level state of siprtmp.py's media.

import { type Clock, Ticker } from "../base/clock.ts";
import { TransportError, WireError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { RtpPorts } from "../net/rtp_ports.ts";
import { parseSdp } from "../sdp/description.ts";
import type { SipBody } from "../sip/body.ts";
import type { CallMedia, MediaFactory } from "./call_media.ts";
import { flashCapability, planCodecs } from "./codec_tokens.ts";
import type { Config } from "./config.ts";
import { MediaContext } from "./media_context.ts";
import { objectionTo } from "./negotiation.ts";

/** Period of the tick that drives reordering and RTCP. */
const TICK_MS = 10;

/** Opens the media of calls within the gateway's limits. */
export class MediaRoom implements Disposable {
  readonly #config: Config;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #ports: RtpPorts;
  readonly #ticker: Ticker;
  #calls = 0;

  /** Binds nothing yet. */
  constructor(config: Config, environment: { clock: Clock; random: Random; log: Logger }) {
    this.#config = config;
    this.#clock = environment.clock;
    this.#random = environment.random;
    this.#ports = new RtpPorts({ min: config.rtp.portMin, max: config.rtp.portMax }, environment.clock);
    const log = environment.log.category("media");
    this.#ticker = new Ticker(environment.clock, TICK_MS, (error) => log.error("a media tick failed", error));
  }

  /** Calls that have media now. */
  get calls(): number {
    return this.#calls;
  }

  /** RTP port pairs in use now. */
  get rtpPorts(): number {
    return this.#ports.inUse;
  }

  /** The factory of one client. Its RTMP time starts now. */
  factory(rate: "wideband" | "narrowband", log: Logger): MediaFactory {
    const capability = flashCapability(rate, false);
    const originMs = this.#clock.now();
    return {
      open: (localAddress, codecs) =>
        this.#open({ localAddress, plan: planCodecs(codecs, capability), originMs, log }),
      objection: (offer) => objection(offer, (description) => objectionTo(description, capability)),
    };
  }

  /** Stops the tick; every call is over by now. */
  [Symbol.dispose](): void {
    this.#ticker[Symbol.dispose]();
  }

  #open(call: {
    localAddress: string;
    plan: ReturnType<typeof planCodecs>;
    originMs: number;
    log: Logger;
  }): CallMedia {
    if (this.#calls >= this.#config.limit.calls) {
      throw new TransportError(`there are ${this.#calls} calls, the most that are allowed`, "failed");
    }
    const media = new MediaContext({
      ...call,
      services: { clock: this.#clock, random: this.#random, ports: this.#ports, ticker: this.#ticker },
      bind: this.#config.rtp.bind,
      onEnd: () => this.#calls--,
    });
    this.#calls++;
    return media;
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
