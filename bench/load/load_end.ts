// The load end: all RTMP clients, the SIP answerer and the RTP echo in one process, and the run that measures them.
// Role: edge

import { droppedDatagrams, sampleProcess } from "../process.ts";
import type { LoadCall } from "./call.ts";
import { dialGateway, type DialledCall, dialRelay } from "./dialer.ts";
import { Histogram } from "./histogram.ts";
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
import { answerAudio, sessionPart, SipAnswerer } from "./sip_answerer.ts";
import { Tally } from "./tally.ts";

const BLOCK_MS = 20;
/** Calls that share a pair of ports: their bursts must fit the socket's buffer. */
const CALLS_PER_ECHO = 25;
/** After the last packet: longer than the gateway waits for missing ones. */
const DRAIN_MS = 400;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface SetUps {
  readonly setUp: Histogram;
  readonly connect: Histogram;
  readonly failures: Map<string, number>;
  established: number;
}

/** Everything at the other side of the gateway. */
export class LoadEnd implements Disposable {
  readonly #calls: Record<Target, DialledCall[]> = { gateway: [], relay: [] };
  readonly #byIndex: (LoadCall | undefined)[] = [];
  readonly #kinds = new Map<number, CallKind>();
  readonly #echoes: RtpEcho[] = [];
  readonly #tallies: Record<Target, Tally> = { gateway: new Tally(), relay: new Tally() };
  readonly #answerer: SipAnswerer;
  #nextIndex = 0;

  /** Opens the SIP port. */
  constructor() {
    this.#answerer = new SipAnswerer((index, offer) => this.#answer(index, offer));
  }

  /** Closes the ports; connections end with the process. */
  [Symbol.dispose](): void {
    this.#answerer[Symbol.dispose]();
    for (const echo of this.#echoes) echo[Symbol.dispose]();
  }

  /** See the protocol. */
  async dial(request: DialRequest): Promise<DialResult> {
    const done = newSetUps();
    const startMs = performance.now();
    const attempts: Promise<void>[] = [];
    for (let i = 0; i < request.count; i++) {
      const waitMs = startMs + i * 1000 / request.perSecond - performance.now();
      if (waitMs > 0) await pause(waitMs);
      attempts.push(
        this.#attempt(request, done).then((call) => {
          if (call !== null) this.#calls[request.target].push(call);
        }),
      );
    }
    await Promise.all(attempts);
    return {
      established: done.established,
      failures: textsOf(done),
      setUp: done.setUp.toJSON(),
      connect: done.connect.toJSON(),
    };
  }

  /** See the protocol. */
  async run(request: RunRequest): Promise<RunResult> {
    const { target, pid, seconds, warmSeconds } = request;
    const calls = this.#calls[target].map(({ call }) => call);
    const tally = this.#tallies[target];
    tally.clear();
    for (const call of calls) call.heard = 0;
    const drops = this.#drops();
    const originMs = Math.round(performance.now());
    const count = calls.length;
    const pacer = new Pacer({
      periodMs: BLOCK_MS,
      count,
      send: (index, round) => calls[index]!.speak(originMs + round * BLOCK_MS),
    });
    await pause(warmSeconds * 1000);
    const window = this.#openWindow(pid, tally, pacer);
    await pause(seconds * 1000);
    const measured = window();
    const lag = pacer.lag.toJSON();
    pacer.stop();
    await pause(DRAIN_MS);
    const { sentUp, receivedUp, sentDown, receivedDown, blocked } = tally;
    const after = this.#drops();
    return {
      calls: count,
      ...measured,
      sentUp,
      receivedUp,
      sentDown,
      receivedDown,
      blocked,
      silent: calls.filter((call) => call.heard === 0).length,
      up: tally.up.toJSON(),
      down: tally.down.toJSON(),
      lag,
      loadDrops: after.load - drops.load,
      targetDrops: after.target - drops.target,
    };
  }

  /** See the protocol. */
  async hangUp({ target, count }: { target: Target; count: number }): Promise<{ left: number }> {
    for (const { call, end } of this.#calls[target].splice(-count, count)) {
      end();
      this.#byIndex[call.index] = undefined;
    }
    await pause(500);
    return { left: this.#calls[target].length };
  }

  /** See the protocol. */
  async churn(request: ChurnRequest): Promise<ChurnResult> {
    const done = newSetUps();
    const attempts: Promise<void>[] = [];
    const startMs = performance.now();
    const wanted = Math.round(request.seconds * request.perSecond);
    for (let i = 0; i < wanted; i++) {
      const waitMs = startMs + i * 1000 / request.perSecond - performance.now();
      if (waitMs > 0) await pause(waitMs);
      attempts.push(this.#shortCall(request, done));
    }
    await Promise.all(attempts);
    return {
      attempted: wanted,
      established: done.established,
      failures: textsOf(done),
      setUp: done.setUp.toJSON(),
    };
  }

  async #shortCall(request: ChurnRequest, done: SetUps): Promise<void> {
    const { port, kind } = request;
    const dialled = await this.#attempt({ target: "gateway", port, kind }, done);
    if (dialled === null) return;
    await pause(request.holdMs);
    dialled.end();
    this.#byIndex[dialled.call.index] = undefined;
  }

  /** Null when it came to nothing; the reason is noted. */
  async #attempt(
    { target, port, kind }: Pick<DialRequest, "target" | "port" | "kind">,
    done: SetUps,
  ): Promise<DialledCall | null> {
    const index = this.#nextIndex++ & 0xffff;
    this.#kinds.set(index, kind);
    const dialing = { index, port, kind, tally: this.#tallies[target] };
    try {
      const dialled = target === "gateway"
        ? await dialGateway({ ...dialing, sipPort: this.#answerer.port })
        : await dialRelay({ ...dialing, echo: this.#echoFor(index) });
      this.#byIndex[index] = dialled.call;
      done.established++;
      done.connect.record(dialled.connectUs);
      if (dialled.setUpUs !== null) done.setUp.record(dialled.setUpUs);
      return dialled;
    } catch (error) {
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      done.failures.set(text, (done.failures.get(text) ?? 0) + 1);
      return null;
    }
  }

  #answer(index: number, offer: string): string | null {
    const kind = this.#kinds.get(index);
    if (kind === undefined) return null;
    const encoding = kind === "speex" ? /^speex\/16000/i : /^PCMU\/8000/i;
    const audio = answerAudio(offer, encoding, this.#echoFor(index).port);
    return audio === null ? null : sessionPart(index) + audio;
  }

  #echoFor(index: number): RtpEcho {
    const wanted = Math.floor(index / CALLS_PER_ECHO) % 100;
    while (this.#echoes.length <= wanted) this.#echoes.push(RtpEcho.open((call) => this.#byIndex[call]));
    return this.#echoes[wanted]!;
  }

  /** Begins to measure; what it returns ends it. */
  #openWindow(pid: number, tally: Tally, pacer: Pacer) {
    const [target, load] = [sampleProcess(pid), sampleProcess("self")];
    const startMs = performance.now();
    pacer.lag.clear();
    tally.measuring = true;
    return () => {
      tally.measuring = false;
      const seconds = (performance.now() - startMs) / 1000;
      const [targetEnd, loadEnd] = [sampleProcess(pid), sampleProcess("self")];
      return {
        seconds,
        cpuMs: target && targetEnd && targetEnd.cpuMs - target.cpuMs,
        waitMs: target && targetEnd && targetEnd.waitMs - target.waitMs,
        rssKiB: targetEnd && targetEnd.rssKiB,
        loadCpuMs: load && loadEnd && loadEnd.cpuMs - load.cpuMs,
        loadWaitMs: load && loadEnd && loadEnd.waitMs - load.waitMs,
      };
    };
  }

  #drops(): { load: number; target: number } {
    const ours = new Set([this.#answerer.port, ...this.#echoes.flatMap(({ port }) => [port, port + 1])]);
    const load = droppedDatagrams((port) => ours.has(port));
    return { load, target: droppedDatagrams((port) => !ours.has(port)) };
  }
}

function newSetUps(): SetUps {
  return { setUp: new Histogram(), connect: new Histogram(), failures: new Map(), established: 0 };
}

function textsOf({ failures }: SetUps): string[] {
  return [...failures].map(([text, count]) => `${count} times ${text}`);
}
