// What the bench says to its load end, one JSON object a line, and what comes back. Every request has an answer; some
// take as long as the run they ask for.
// Role: wire

import type { HistogramData } from "./histogram.ts";

/** Who is measured. */
export type Target = "gateway" | "relay";

/** What calls carry: pass-through audio, or Speex at the client and G.711 at the phone. */
export type CallKind = "speex" | "pcmu" | "transcoded" | "h264";

/** Requests and their results. */
export interface LoadMethods {
  /** Makes calls; those that there are already go on. */
  dial(request: DialRequest): DialResult;
  /** All calls of a target talk for a while. */
  run(request: RunRequest): RunResult;
  /** Ends the last `count` calls of a target. */
  hangUp(request: { readonly target: Target; readonly count: number }): { readonly left: number };
  /** New calls at a rate, each hung up after a while; beside a run. */
  churn(request: ChurnRequest): ChurnResult;
  /** Clients that register and stay. */
  register(request: RegisterRequest): RegisterResult;
  /** Watches a target while nothing is sent. */
  watch(request: { readonly pid: number; readonly seconds: number }): WindowResult;
  /** One publisher and many players; all of them leave at the end. */
  fanOut(request: FanOutRequest): FanOutResult;
}

/** How to make calls. */
export interface DialRequest {
  readonly target: Target;
  /** RTMP port of the gateway, TCP port of the relay. */
  readonly port: number;
  readonly kind: CallKind;
  readonly count: number;
  /** New calls per second. */
  readonly perSecond: number;
  /** Behind the path of each client, for a gateway that wants a token: "?token=...". */
  readonly query?: string;
}

/** How that went. */
export interface DialResult {
  readonly established: number;
  /** Why the others were not, one text per reason. */
  readonly failures: readonly string[];
  /** From the command `invite` to the callback `accepted`. */
  readonly setUp: HistogramData;
  /** From the TCP connection to streams made. */
  readonly connect: HistogramData;
}

/** A run of all calls of a target. */
export interface RunRequest {
  readonly target: Target;
  readonly seconds: number;
  readonly warmSeconds: number;
  /** Process of the target. */
  readonly pid: number;
}

/** What came of one kind of media. */
export interface StreamResult {
  readonly sentUp: number;
  readonly receivedUp: number;
  readonly sentDown: number;
  readonly receivedDown: number;
  /** What the load end could not send in time. */
  readonly blocked: number;
  /** RTMP to RTP, in the measured window. */
  readonly up: HistogramData;
  /** RTP to RTMP. */
  readonly down: HistogramData;
}

/** What a measured window says of the processes. Null where the system does not tell. */
export interface WindowResult {
  readonly seconds: number;
  /** The target. */
  readonly cpuMs: number | null;
  /** How long the target waited for its core. */
  readonly waitMs: number | null;
  readonly rssKiB: number | null;
  /** The load end itself. */
  readonly loadCpuMs: number | null;
  readonly loadWaitMs: number | null;
  /** How late the load end's timer came. */
  readonly lag: HistogramData;
}

/** What came of a run. Times are of the measured window, packets are of the whole run. */
export interface RunResult extends WindowResult {
  readonly calls: number;
  /** How long what had arrived waited until the load end read it. */
  readonly ioLag: HistogramData;
  readonly audio: StreamResult;
  /** Pictures; all 0 in calls without. */
  readonly video: StreamResult;
  /** Calls that heard nothing. */
  readonly silent: number;
  /** Datagrams that the load end's sockets had no room for. */
  readonly loadDrops: number;
  /** Datagrams that the target's sockets had no room for. */
  readonly targetDrops: number;
}

/** New calls beside the ones that talk. */
export interface ChurnRequest {
  readonly port: number;
  readonly kind: CallKind;
  readonly perSecond: number;
  readonly seconds: number;
  readonly holdMs: number;
}

/** How that went. */
export interface ChurnResult {
  readonly attempted: number;
  readonly established: number;
  readonly failures: readonly string[];
  readonly setUp: HistogramData;
}

/** Clients that log in, so that the gateway registers them at the load end's registrar. */
export interface RegisterRequest {
  readonly port: number;
  readonly count: number;
  /** How many log in at the same time. */
  readonly together: number;
}

/** How that went. */
export interface RegisterResult {
  readonly registered: number;
  readonly failures: readonly string[];
  readonly seconds: number;
  /** REGISTER requests the registrar has answered. */
  readonly requests: number;
}

/** A live stream of pictures, 1 to many. */
export interface FanOutRequest {
  readonly port: number;
  readonly players: number;
  /** Players that read nothing while it is measured. */
  readonly slow: number;
  /** Large pictures that are sent to the slow ones before, so that nothing more fits on the way to them. */
  readonly filling: number;
  /** Size of a picture; there are 25 a second. */
  readonly pictureLength: number;
  readonly seconds: number;
  readonly warmSeconds: number;
  readonly pid: number;
}

/** What came of it. */
export interface FanOutResult extends WindowResult {
  readonly players: number;
  readonly published: number;
  /** What each player that reads should have got, and what all of them got. */
  readonly wanted: number;
  readonly received: number;
  readonly latency: HistogramData;
  /** Slow players that were still connected at the end. */
  readonly slowLeft: number;
}

/** Name of a request. */
export type LoadMethod = keyof LoadMethods;

/** A line to the load end. */
export interface LoadRequest {
  readonly id: number;
  readonly method: LoadMethod;
  readonly params: unknown;
}

/** A line from it. The first one, with id 0, says that it is ready. */
export type LoadResponse =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };
