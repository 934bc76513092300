// The settings of what is refused, or slowed down, beyond a bound: calls, clients, lag, memory, what one sends.
// Answers to: nothing in siprtmp, which had no bound but its own end.
// Role: wire

/** The settings of the bounds, by their long names. */
export interface GuardSettings {
  /** Most RTMP connections at a time. */
  "max-connections": number;
  /** Most calls at a time. */
  "max-calls": number;
  /** Lateness of the event loop in milliseconds above which nothing new is taken; 0: any. */
  "max-lag": number;
  /** Memory of the process in MiB above which nothing new is taken; 0: any. */
  "max-memory": number;
  /** Most RTMP connections at a time that have not said who they are. */
  "max-half-open": number;
  /** Most that one RTMP client may send, in kbit/s; 0: any. */
  "max-publish-rate": number;
}

export const defaultGuard: Readonly<GuardSettings> = {
  "max-connections": 1000,
  "max-calls": 500,
  "max-lag": 100,
  "max-memory": 0,
  "max-half-open": 256,
  "max-publish-rate": 20_000,
};

/** Bounds of the whole gateway. */
export interface LimitConfig {
  /** Most RTMP connections at a time. */
  readonly connections: number;
  /** Most calls at a time. */
  readonly calls: number;
  /** Lateness of the event loop in milliseconds above which nothing new is taken; 0: any. */
  readonly lagMs: number;
  /** Memory of the process in bytes above which nothing new is taken; 0: any. */
  readonly memoryBytes: number;
  /** Most RTMP connections at a time that have not said connect. */
  readonly halfOpen: number;
}

const MIB = 1024 * 1024;

/** The bounds as the gateway takes them. */
export function limitOf(settings: GuardSettings): LimitConfig {
  return {
    connections: settings["max-connections"],
    calls: settings["max-calls"],
    lagMs: settings["max-lag"],
    memoryBytes: settings["max-memory"] * MIB,
    halfOpen: settings["max-half-open"],
  };
}

/** What one client may send, in bytes a second; 0: any. */
export function publishBytesPerSecond(settings: GuardSettings): number {
  return settings["max-publish-rate"] * 1000 / 8;
}
