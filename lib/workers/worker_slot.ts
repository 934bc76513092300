// The part of the configuration that one worker has: the same RTMP port, a SIP port and RTP ports of its own. Worker 0
// has everything there is only one of: TLS, RTMPT, streams, and the accounts the gateway registers itself.
// Role: wire

import { ConfigError } from "../base/errors.ts";
import { loopbackPlaces } from "../gateway/access/target_policy.ts";
import type { Config, RtpConfig } from "../config/config.ts";
import type { EntranceConfig } from "../config/config.ts";

/** Where a worker is put. */
export interface WorkerSlot {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** The RTMP port of all; 0 lets worker 0 find one. */
  readonly rtmpPort: number;
  /** The SIP port of this one; 0: any. */
  readonly sipPort: number;
  readonly sipFallback: boolean;
}

/** The worker that has what there is only one of. */
export const STREAMS_WORKER = 0;

/**
 * What worker `slot.index` runs with:
 *
 *   --sip-port 5060 --rtp-ports 10000-19999 --workers 2     SIP 5060, RTP 10000-14999     SIP 5061, RTP 15000-19999
 *
 * @throws ConfigError when the ports do not suffice
 */
export function sliceOf(config: Config, slot: WorkerSlot): Config {
  const home = slot.index === STREAMS_WORKER;
  return {
    ...config,
    rtmp: { ...config.rtmp, listen: { ...config.rtmp.listen, port: slot.rtmpPort } },
    entrance: entranceOf(config.entrance, slot),
    sip: { ...config.sip, port: slot.sipPort, portFallback: slot.sipFallback },
    rtp: sliceOfPorts(config.rtp, slot),
    // Those that say nothing are not counted for all: the kernel spreads them evenly.
    limit: { ...config.limit, halfOpen: Math.ceil(config.limit.halfOpen / slot.count) },
    accounts: home ? config.accounts : [],
    sipd: null,
    workers: 1,
  };
}

/** The SIP ports of the other workers are ours too: a call between their clients may be dialled at any of them. */
function entranceOf(entrance: EntranceConfig, { index, count, sipPort }: WorkerSlot): EntranceConfig {
  const ports = sipPort === 0 ? [] : Array.from({ length: count }, (_, other) => sipPort - index + other);
  const open = [...entrance.targets.open, ...ports.flatMap(loopbackPlaces)];
  const own = { ...entrance, targets: { ...entrance.targets, open } };
  return index === STREAMS_WORKER ? own : { ...own, tls: null, tunnel: null };
}

/** Whole pairs, even port first; the last worker has what is left over. */
function sliceOfPorts(rtp: RtpConfig, { index, count }: WorkerSlot): RtpConfig {
  if (rtp.portMax === 0) return rtp; // any ports that are free
  const first = rtp.portMin + rtp.portMin % 2;
  const pairs = Math.floor((rtp.portMax - first + 1) / 2);
  const each = Math.floor(pairs / count);
  if (each < 1) {
    throw new ConfigError(
      `rtp-ports ${rtp.portMin}-${rtp.portMax} hold ${pairs} pairs, too few for ${count} workers`,
    );
  }
  const portMin = first + 2 * each * index;
  const portMax = index === count - 1 ? first + 2 * pairs - 1 : portMin + 2 * each - 1;
  return { ...rtp, portMin, portMax };
}

/**
 * The SIP port that worker `index` wants, when worker 0 has `base`.
 * @throws ConfigError beyond the last port there is
 */
export function sipPortOf(config: Config, base: number, index: number): number {
  if (config.sip.port === 0) return 0;
  const port = base + index;
  if (port > 65535) throw new ConfigError(`sip-port ${base} leaves no port for worker ${index}`);
  return port;
}
