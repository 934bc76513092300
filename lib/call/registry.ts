// Every call of this process, whoever its client is: listed, watched and hung up by id. Statuses are named as jambonz
// names them. Counters stay where they are counted: they are read when somebody asks.
// Role: machine

import type { Clock } from "../base/clock.ts";
import { Mailbox } from "../base/mailbox.ts";
import { formatSipUri } from "../sip/message/uri.ts";
import type { NameAddr } from "../sip/message/name_addr.ts";
import type { StreamRecord } from "./call_media.ts";
import type { Runtime } from "../base/runtime.ts";

type CallStatus =
  | "trying"
  | "ringing"
  /** Not answered, but the remote party is heard already. */
  | "early-media"
  | "in-progress"
  | FinalStatus;

type FinalStatus = "completed" | "failed" | "no-answer" | "busy";

export interface CallEnding {
  /** Of a call that was up: completed; else why it never was. */
  readonly status: FinalStatus;
  /** The SIP status of a call that never was up; null: there was none. */
  readonly sipStatus: number | null;
  /** In words: a reason phrase, or why. */
  readonly reason: string;
  /** "failure": the network, the remote party or this program broke down. */
  readonly by: "local" | "remote" | "failure";
}

export interface RtmpPeer {
  readonly address: string;
  readonly connection: number;
  readonly path: string;
}

/** A call at one moment: plain values, which may be posted and written as JSON. Times are wall clock, in ms. */
export interface CallRecord {
  /** Stable, and no other call's of any worker or run. */
  readonly id: string;
  /** Null until an INVITE was sent; another one after a redirection. */
  readonly sipCallId: string | null;
  /** Of the configuration; null: the client is its own user. */
  readonly account: string | null;
  readonly direction: "in" | "out";
  readonly remote: { readonly uri: string; readonly displayName: string | null };
  readonly local: string;
  readonly status: CallStatus;
  readonly startMs: number;
  /** Since when it has this status. */
  readonly statusMs: number;
  readonly answerMs: number | null;
  readonly endMs: number | null;
  /** Null while it lasts. */
  readonly ending: CallEnding | null;
  /** Null: the call has no RTMP client, or none now. */
  readonly rtmp: RtmpPeer | null;
  readonly streams: readonly StreamRecord[];
}

export type CallChange =
  | { readonly type: "added" | "changed" | "ended"; readonly call: CallRecord }
  /** The last: it has not kept up, and what it knows is incomplete. */
  | { readonly type: "overrun" };

export type CallWatch = AsyncIterable<CallChange> & Disposable;

/** What a call is from its first moment on. */
interface CallStart extends Pick<CallRecord, "account" | "direction"> {
  readonly remote: NameAddr;
  readonly local: string;
  /** Ends it: BYE, CANCEL or a refusal, and its client is told. */
  hangUp(): void;
  rtmp(): RtmpPeer | null;
}

export interface CountedMedia {
  /** What is agreed, and the counters so far. */
  streams(): readonly StreamRecord[];
}

export const MAX_CHANGES = 256;
export const MAX_ENDED = 1000;
export const MAX_ENDED_LENGTH = 2 * 1024 * 1024;
/** What a peer says about itself is cut to so much. */
const MAX_TEXT = 256;

export class CallRegistry {
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #calls = new Map<string, RegisteredCall>();
  readonly #ended: { readonly record: CallRecord; readonly length: number }[] = [];
  readonly #watchers = new CallWatchers();
  #endedLength = 0;
  #serial = 0;

  constructor({ clock, random }: Pick<Runtime, "clock" | "random">) {
    this.#clock = clock;
    this.#prefix = random.token(8);
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Oldest first. */
  list(): CallRecord[] {
    return [...this.#calls.values()].map((call) => call.record());
  }

  /** Oldest first, the last ones. */
  ended(): CallRecord[] {
    return this.#ended.map(({ record }) => record);
  }

  /** A call that lasts, or has ended not long ago. */
  find(id: string): CallRecord | undefined {
    return this.#calls.get(id)?.record() ?? this.#ended.findLast(({ record }) => record.id === id)?.record;
  }

  /** Ends a call; false when there is none of this id. Its end is told as any other. */
  hangUp(id: string): boolean {
    const call = this.#calls.get(id);
    call?.start.hangUp();
    return call !== undefined;
  }

  /** What happens from now on; what there is already, list() says. */
  watch(): CallWatch {
    return this.#watchers.watch();
  }

  /** A new call; whoever registers it ends it. */
  register(start: CallStart): RegisteredCall {
    const id = `${this.#prefix}-${++this.#serial}`;
    const call: RegisteredCall = new RegisteredCall(id, start, {
      wallMs: () => this.#clock.wallMs(),
      tell: (type) => this.#tell(type, call),
    });
    this.#calls.set(id, call);
    this.#tell("added", call);
    return call;
  }

  #tell(type: "added" | "changed" | "ended", call: RegisteredCall): void {
    if (type === "ended") this.#keep(call);
    if (this.#watchers.size === 0) return;
    this.#watchers.tell({ type, call: call.record() });
  }

  #keep(call: RegisteredCall): void {
    this.#calls.delete(call.id);
    const record = call.record();
    const { length } = JSON.stringify(record);
    this.#ended.push({ record, length });
    this.#endedLength += length;
    while (this.#ended.length > MAX_ENDED || this.#endedLength > MAX_ENDED_LENGTH) {
      this.#endedLength -= this.#ended.shift()!.length;
    }
  }
}

/** Whoever watches calls. A reader that does not keep up is not waited for: it gets "overrun", and the end. */
export class CallWatchers {
  readonly #mailboxes = new Set<Mailbox<CallChange>>();

  get size(): number {
    return this.#mailboxes.size;
  }

  watch(): CallWatch {
    const changes = new Mailbox<CallChange>(MAX_CHANGES);
    this.#mailboxes.add(changes);
    return {
      [Symbol.asyncIterator]: () => changes[Symbol.asyncIterator](),
      [Symbol.dispose]: () => {
        this.#mailboxes.delete(changes);
        changes.close();
      },
    };
  }

  tell(change: CallChange): void {
    for (const changes of this.#mailboxes) if (!changes.push(change)) this.#overrun(changes);
  }

  overrun(): void {
    for (const changes of this.#mailboxes) this.#overrun(changes);
  }

  #overrun(changes: Mailbox<CallChange>): void {
    this.#mailboxes.delete(changes);
    changes.end({ type: "overrun" });
  }
}

interface RegistryOutlets {
  wallMs(): number;
  tell(type: "changed" | "ended"): void;
}

/** A call as whoever runs it tells of it. Made by `CallRegistry.register`. */
export class RegisteredCall {
  readonly id: string;
  readonly start: CallStart;
  readonly #registry: RegistryOutlets;
  readonly #remote: CallRecord["remote"];
  readonly #startMs: number;
  #sipCallId: string | null = null;
  #status: CallStatus = "trying";
  #statusMs: number;
  #answerMs: number | null = null;
  #media: CountedMedia | null = null;
  #final: CallRecord | null = null;

  constructor(id: string, start: CallStart, registry: RegistryOutlets) {
    const { uri, displayName } = start.remote;
    this.id = id;
    this.start = start;
    this.#registry = registry;
    this.#remote = {
      uri: cut(formatSipUri(uri)),
      displayName: displayName === null ? null : cut(displayName),
    };
    this.#startMs = this.#statusMs = registry.wallMs();
  }

  /** Whose counters are read from now on; null: nobody's. */
  set media(media: CountedMedia | null) {
    this.#media = media;
  }

  set sipCallId(id: string) {
    this.#sipCallId = cut(id);
  }

  /** It has come so far; back from early media to ringing is no news. */
  become(status: "trying" | "ringing" | "early-media" | "in-progress"): void {
    if (this.#final !== null || status === this.#status) return;
    if (this.#status === "early-media" && status === "ringing") return;
    this.#status = status;
    this.#statusMs = this.#registry.wallMs();
    if (status === "in-progress") this.#answerMs = this.#statusMs;
    this.#registry.tell("changed");
  }

  /** Something else that a watcher wants to know: other codecs, another RTMP client. */
  changed(): void {
    if (this.#final === null) this.#registry.tell("changed");
  }

  /** It is over; counters are read for the last time. Only the first end counts. */
  end(ending: CallEnding): void {
    if (this.#final !== null) return;
    const { status } = ending;
    const endMs = this.#registry.wallMs();
    const reason = cut(ending.reason);
    this.#final = { ...this.record(), status, statusMs: endMs, endMs, ending: { ...ending, reason } };
    this.#media = null;
    this.#registry.tell("ended");
  }

  record(): CallRecord {
    if (this.#final !== null) return this.#final;
    const { account, direction, local } = this.start;
    return {
      id: this.id,
      sipCallId: this.#sipCallId,
      account,
      direction,
      remote: this.#remote,
      local,
      status: this.#status,
      startMs: this.#startMs,
      statusMs: this.#statusMs,
      answerMs: this.#answerMs,
      endMs: null,
      ending: null,
      rtmp: this.start.rtmp(),
      streams: this.#media?.streams() ?? [],
    };
  }
}

/** What a final response to our INVITE, or our own to a caller's, makes of a call. */
export function endingOf(sipStatus: number, reason: string, by: CallEnding["by"]): CallEnding {
  return { status: finalStatusOf(sipStatus), sipStatus, reason, by };
}

export function completed(by: CallEnding["by"], reason: string): CallEnding {
  return { status: "completed", sipStatus: null, reason, by };
}

function finalStatusOf(sipStatus: number): FinalStatus {
  switch (sipStatus) {
    case 486:
    case 600:
      return "busy";
    case 408:
    case 480:
    case 487:
      return "no-answer";
    default:
      return "failed";
  }
}

function cut(text: string): string {
  return text.slice(0, MAX_TEXT);
}
