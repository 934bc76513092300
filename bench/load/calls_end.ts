// All calls of the load end: dialling, talking, hanging up.
// Role: edge

import { droppedDatagrams } from "../process.ts";
import type { LoadCall } from "./call.ts";
import { kindOfCall } from "./call_kinds.ts";
import { dialGateway, type DialledCall, dialRelay } from "./dialer.ts";
import { Histogram } from "./histogram.ts";
import { IoProbe } from "./io_probe.ts";
import type { LoadSockets } from "./load_sockets.ts";
import { Pacer } from "./pacer.ts";
import type {
  CallKind,
  ChurnRequest,
  ChurnResult,
  DialRequest,
  DialResult,
  RunRequest,
  RunResult,
  Target,
} from "./protocol.ts";
import { RtpEcho } from "./rtp_echo.ts";
import { answerMedia, offeredPort, sessionPart } from "./sdp_answer.ts";
import { SipAnswerer } from "./sip_answerer.ts";
import { Tally } from "./tally.ts";
import { PICTURES_PER_SECOND } from "./video_leg.ts";
import { Failures, openWindow, paced, pause } from "./window.ts";

const BLOCK_MS = 20;
/** Calls that share a pair of ports: their bursts must fit the socket's buffer. */
const CALLS_PER_ECHO = 10;
/** After the last packet: longer than the gateway waits for missing ones. */
const DRAIN_MS = 400;
/** Call numbers fit a stamp. */
const MAX_INDEX = 0xffff;

interface SetUps {
  readonly setUp: Histogram;
  readonly connect: Histogram;
  readonly failures: Failures;
  established: number;
}

/** RTMP clients, SIP answerer and RTP echo of all calls. */
export class CallsEnd implements Disposable {
  /** Takes the calls, and the registrations of others. */
  readonly answerer: SipAnswerer;
  readonly #sockets: LoadSockets;
  readonly #calls: Record<Target, DialledCall[]> = { gateway: [], relay: [] };
  readonly #byIndex: (LoadCall | undefined)[] = [];
  readonly #kinds: CallKind[] = [];
  readonly #audioEchoes: RtpEcho[] = [];
  readonly #videoEchoes: RtpEcho[] = [];
  readonly #audio: Record<Target, Tally> = { gateway: new Tally(), relay: new Tally() };
  readonly #video = new Tally();
  #nextIndex = 0;

  /** Opens the SIP port. */
  constructor(sockets: LoadSockets) {
    this.#sockets = sockets;
    this.answerer = new SipAnswerer((index, offer) => this.#answer(index, offer));
  }

  /** Closes the ports; connections end with the process. */
  [Symbol.dispose](): void {
    this.answerer[Symbol.dispose]();
    for (const echo of [...this.#audioEchoes, ...this.#videoEchoes]) echo[Symbol.dispose]();
  }

  /** See the protocol. */
  async dial(request: DialRequest): Promise<DialResult> {
    const done = newSetUps();
    const startMs = performance.now();
    const attempts: Promise<void>[] = [];
    for (let i = 0; i < request.count; i++) {
      await paced(i, request.perSecond, startMs);
      attempts.push(
        this.#attempt(request, done).then((call) => {
          if (call !== null) this.#calls[request.target].push(call);
        }),
      );
    }
    await Promise.all(attempts);
    const { established, failures, setUp, connect } = done;
    return { established, failures: failures.texts, setUp: setUp.toJSON(), connect: connect.toJSON() };
  }

  /** See the protocol. */
  async run(request: RunRequest): Promise<RunResult> {
    const calls = this.#calls[request.target].map(({ call }) => call);
    const [audio, video] = [this.#audio[request.target], this.#video];
    for (const tally of [audio, video]) tally.clear();
    for (const call of calls) call.heard = 0;
    const drops = dropsNow(request.pid);
    using probe = new IoProbe();
    const { speaking, stop } = talkAll(calls);
    await pause(request.warmSeconds * 1000);
    const close = openWindow(request.pid, speaking.lag);
    audio.measuring = video.measuring = true;
    await pause(request.seconds * 1000);
    audio.measuring = video.measuring = false;
    const window = close();
    stop();
    await pause(DRAIN_MS);
    const after = dropsNow(request.pid);
    return {
      ...window,
      ioLag: probe.lag.toJSON(),
      calls: calls.length,
      audio: audio.result(),
      video: video.result(),
      silent: calls.filter((call) => call.heard === 0).length,
      loadDrops: after.load - drops.load,
      targetDrops: after.target - drops.target,
    };
  }

  /** See the protocol. */
  async hangUp({ target, count }: { target: Target; count: number }): Promise<{ left: number }> {
    const calls = this.#calls[target];
    for (const { call, end } of calls.splice(Math.max(0, calls.length - count))) {
      end();
      this.#byIndex[call.index] = undefined;
    }
    await pause(500);
    return { left: calls.length };
  }

  /** See the protocol. */
  async churn(request: ChurnRequest): Promise<ChurnResult> {
    const done = newSetUps();
    const attempts: Promise<void>[] = [];
    const startMs = performance.now();
    const attempted = Math.round(request.seconds * request.perSecond);
    for (let i = 0; i < attempted; i++) {
      await paced(i, request.perSecond, startMs);
      attempts.push(this.#shortCall(request, done));
    }
    await Promise.all(attempts);
    const { established, failures, setUp } = done;
    return { attempted, established, failures: failures.texts, setUp: setUp.toJSON() };
  }

  async #shortCall(request: ChurnRequest, done: SetUps): Promise<void> {
    const { port, kind, holdMs } = request;
    const dialled = await this.#attempt({ target: "gateway", port, kind }, done);
    if (dialled === null) return;
    await pause(holdMs);
    dialled.end();
    this.#byIndex[dialled.call.index] = undefined;
  }

  /** Null when it came to nothing; the reason is noted. */
  async #attempt(
    { target, port, kind, query }: Pick<DialRequest, "target" | "port" | "kind" | "query">,
    done: SetUps,
  ): Promise<DialledCall | null> {
    const index = this.#freeIndex();
    this.#kinds[index] = kind;
    const dialing = {
      index,
      port,
      kind,
      query: query ?? "",
      audio: this.#audio[target],
      video: this.#video,
      sockets: this.#sockets,
    };
    const onCall = (call: LoadCall): void => void (this.#byIndex[index] = call);
    try {
      const dialled = target === "gateway"
        ? await dialGateway({ ...dialing, sipPort: this.answerer.port, onCall })
        : await dialRelay({ ...dialing, echo: this.#echoFor(this.#audioEchoes, index) });
      this.#byIndex[index] = dialled.call;
      done.established++;
      done.connect.record(dialled.connectUs);
      if (dialled.setUpUs !== null) done.setUp.record(dialled.setUpUs);
      return dialled;
    } catch (error) {
      this.#byIndex[index] = undefined;
      done.failures.note(error);
      return null;
    }
  }

  #freeIndex(): number {
    do this.#nextIndex = (this.#nextIndex + 1) % MAX_INDEX; while (
      this.#byIndex[this.#nextIndex] !== undefined
    );
    return this.#nextIndex;
  }

  /** Takes the audio of the kind, and pictures where it has them. */
  #answer(index: number, offer: string): string | null {
    const [kind, call] = [this.#kinds[index], this.#byIndex[index]];
    if (kind === undefined || call === undefined) return null;
    const { encoding, video } = kindOfCall(kind);
    const echo = this.#echoFor(this.#audioEchoes, index);
    const audio = answerMedia(offer, "audio", encoding, echo.port);
    if (audio === null) return null;
    echo.byPort[offeredPort(offer, "audio")] = call;
    if (!video || call.video === null) return sessionPart(index) + audio;
    const pictures = this.#echoFor(this.#videoEchoes, index);
    pictures.byPort[offeredPort(offer, "video")] = call.video;
    return sessionPart(index) + audio + (answerMedia(offer, "video", /^H264\/90000/i, pictures.port) ?? "");
  }

  #echoFor(echoes: RtpEcho[], index: number): RtpEcho {
    const wanted = Math.floor(index / CALLS_PER_ECHO) % 200;
    while (echoes.length <= wanted) echoes.push(RtpEcho.open(this.#sockets, (call) => this.#byIndex[call]));
    return echoes[wanted]!;
  }
}

function dropsNow(pid: number): { load: number; target: number } {
  return { load: droppedDatagrams("self"), target: droppedDatagrams(pid) };
}

/** Starts everybody talking, and showing pictures where calls have them. */
function talkAll(calls: readonly LoadCall[]): { speaking: Pacer; stop(): void } {
  const originMs = Math.round(performance.now());
  const speaking = new Pacer({
    periodMs: BLOCK_MS,
    count: calls.length,
    send: (index, round) => calls[index]!.speak(originMs + round * BLOCK_MS),
  });
  const legs = calls.flatMap(({ video }) => video === null ? [] : [video]);
  const periodMs = 1000 / PICTURES_PER_SECOND;
  const showing = new Pacer({
    periodMs,
    count: legs.length,
    send: (index, round) => legs[index]!.show(originMs + round * periodMs),
  });
  const stop = (): void => {
    speaking.stop();
    showing.stop();
  };
  return { speaking, stop };
}

function newSetUps(): SetUps {
  return { setUp: new Histogram(), connect: new Histogram(), failures: new Failures(), established: 0 };
}
