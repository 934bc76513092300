// Limits and times of RTMP connections, in one value with defaults.
// Role: wire

export interface RtmpOptions {
  /** A connected peer that is silent for so long, pings included, is dead. */
  readonly idleMs: number;
  readonly pingMs: number;
  /** Time from accepting the TCP connection to the connect command. */
  readonly openTimeoutMs: number;
  /** Above so many unsent bytes media is dropped. */
  readonly softUnsent: number;
  /** Above so many unsent bytes the connection is closed. */
  readonly hardUnsent: number;
  /** When what we send arrives later than this, media is dropped as above `softUnsent`. */
  readonly maxLagMs: number;
  readonly chunkSize: number;
  /** The peer is to acknowledge after so many bytes. */
  readonly windowAckSize: number;
  /** A peer that sends more is read more slowly, in bytes a second; 0: as fast as it sends. */
  readonly readBytesPerSecond: number;
  /** A peer that says more is read more slowly, in commands a second; 0: as fast as it sends. */
  readonly commandsPerSecond: number;
  /** Streams one connection may have at a time. */
  readonly maxStreams: number;
}

export const defaultRtmpOptions: RtmpOptions = {
  idleMs: 60_000,
  pingMs: 15_000,
  openTimeoutMs: 15_000,
  softUnsent: 256 * 1024,
  hardUnsent: 4 * 1024 * 1024,
  maxLagMs: 2_000,
  chunkSize: 4096,
  windowAckSize: 2_500_000,
  readBytesPerSecond: 2_500_000,
  commandsPerSecond: 100,
  maxStreams: 16,
};
