// The workers as one of them sees them: what its gateway asks of the others becomes messages to the supervisor, and what
// the supervisor posts reaches the part of the gateway that it is for.
// Role: edge

import type { Counter } from "../base/counter.ts";
import { messageOf, TransportError } from "../base/errors.ts";
import type { AddressChange } from "../gateway/access/address_limits.ts";
import type {
  AddressClient,
  Arrival,
  ClientPath,
  Entry,
  SharedAddresses,
} from "../gateway/shared_address.ts";
import type { AddressNews, StreamsWorker, Team } from "../gateway/team.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { ByteStream, SendLimits } from "../net/byte_stream.ts";
import type { RtmpConnection } from "../rtmp/connection.ts";
import type { MessageTransport } from "../sip/ua/endpoint.ts";
import type { SipWorkerEvents } from "../sip/ua/worker_events.ts";
import type { FromWorker, Opening, ToWorker, WorkerEndpoints } from "./messages.ts";
import { listenRelay, relayToStreams, ReplayedStream } from "./relay.ts";
import type { SharedCounts } from "./shared_counts.ts";
import { SharedTransport } from "./shared_transport.ts";
import { linePrefixOf, UserDirectory } from "./user_directory.ts";
import { STREAMS_WORKER } from "./worker_slot.ts";
import type { Runtime } from "../base/runtime.ts";

interface TeamMemberOptions extends Pick<Runtime, "clock" | "log"> {
  readonly opening: Opening;
  readonly counts: SharedCounts;
  readonly post: (message: FromWorker) => void;
  /** Bounds of what is unsent on connections that are carried. */
  readonly limits: SendLimits;
}

/** News between workers: everything the supervisor posts but what is about the worker itself. */
type TeamNews = Exclude<ToWorker, { type: "open" | "reload" | "stop" }>;

export class TeamMember implements Team {
  readonly sip: SipWorkerEvents;
  readonly connections: Counter;
  readonly calls: Counter;
  readonly sipAddresses: RemoteAddresses<RtmpConnection>;
  readonly addresses: AddressNews;
  readonly streams: StreamsWorker;
  readonly #options: TeamMemberOptions;
  readonly #worker: number;
  readonly #users = new UserDirectory();
  readonly #endpoints = new Map<number, WorkerEndpoints>();
  readonly #homePort = Promise.withResolvers<Endpoint>();
  readonly #early: AddressChange[];
  #transport: SharedTransport | null = null;

  constructor(options: TeamMemberOptions) {
    const { opening, counts, post } = options;
    const worker = this.#worker = opening.slot.index;
    this.#options = options;
    for (const user of opening.remoteUsers) this.#users.add(user);
    for (const endpoints of opening.workers) this.#endpoints.set(endpoints.worker, endpoints);
    this.#early = [...opening.addresses];
    this.connections = counts.counter(worker, "connections");
    this.calls = counts.counter(worker, "calls");
    this.sipAddresses = new RemoteAddresses(post, counts.counter(worker, "clients"));
    this.addresses = { tell: (change) => post({ type: "address", change }), onChange: null };
    this.sip = this.#workerEvents();
    this.streams = worker === STREAMS_WORKER ? this.#streamsHere() : this.#streamsElsewhere();
  }

  nextConnectionId(): number {
    return this.#options.counts.nextSerial();
  }

  joinTransport(transport: MessageTransport): MessageTransport {
    const { post, log } = this.#options;
    this.#transport = new SharedTransport(transport, {
      worker: this.#worker,
      directory: this.#users,
      workerAtPort: (port) => this.#workerAt(port),
      handOver: (to, message) => post({ type: "hand over", to, message }),
      relay: (to, message) => post({ type: "relay", to, message }),
      log,
    });
    return this.#transport;
  }

  /** Where the others reach this worker; waits for its private port, if it has one. Throws TransportError. */
  async endpoints(sipPort: number): Promise<WorkerEndpoints> {
    const home = this.#worker === STREAMS_WORKER ? await this.#homePort.promise : null;
    return { worker: this.#worker, sipPort, relay: home };
  }

  take(news: TeamNews): void {
    switch (news.type) {
      case "endpoints":
        return void this.#endpoints.set(news.endpoints.worker, news.endpoints);
      case "gone":
        this.#endpoints.delete(news.worker);
        return this.#users.removeWorker(news.worker);
      case "came":
        return this.#users.add(news.user);
      case "left":
        return this.#users.remove(news.line);
      case "handed":
        return this.#transport?.takeHanded(news.from, news.message);
      case "relayed":
        return this.#transport?.takeRelayed(news.message);
      case "address":
        return this.#addressChanged(news.change);
      case "arrival":
      case "entry":
        return this.sipAddresses.answered(news);
      case "replaced":
        return this.sipAddresses.replaced(news.id);
    }
  }

  /** The gateway is there: it hears what was said about addresses before. */
  opened(): void {
    for (const change of this.#early.splice(0)) this.addresses.onChange?.(change);
  }

  #addressChanged(change: AddressChange): void {
    if (this.#early.length > 0 || this.addresses.onChange === null) this.#early.push(change);
    else this.addresses.onChange(change);
  }

  #workerAt(sipPort: number): number | null {
    for (const endpoints of this.#endpoints.values()) {
      if (endpoints.sipPort === sipPort) return endpoints.worker;
    }
    return null;
  }

  #workerEvents(): SipWorkerEvents {
    const { post } = this.#options;
    const worker = this.#worker;
    return {
      linePrefix: linePrefixOf(worker),
      agentCame: (news) => {
        this.#users.add({ worker, ...news });
        post({ type: "came", news });
      },
      agentLeft: (line) => {
        this.#users.remove(line);
        post({ type: "left", line });
      },
      dialogIs: (record) => post({ type: "dialog", record }),
      dialogEnded: (id) => post({ type: "dialog ended", id }),
    };
  }

  #streamsHere(): StreamsWorker {
    this.#homePort.promise.catch(() => {}); // endpoints() throws it
    return { type: "here", arrivals: (signal) => this.#arrivals(signal) };
  }

  async *#arrivals(signal: AbortSignal): AsyncGenerator<ByteStream> {
    const { opening: { secret }, limits, clock, log } = this.#options;
    const onListening = this.#homePort.resolve;
    try {
      yield* listenRelay({ secret, limits, clock, log, onListening }, signal);
    } finally {
      this.#homePort.reject(
        new TransportError("the private port for clients of streams cannot be had", "failed"),
      );
    }
  }

  #streamsElsewhere(): StreamsWorker {
    return {
      type: "elsewhere",
      watch: (stream) => new ReplayedStream(stream),
      carry: (stream, signal) => this.#carry(stream, signal),
    };
  }

  /** A way that breaks is the client's loss and nobody's defect. */
  async #carry(stream: ByteStream, signal: AbortSignal): Promise<void> {
    if (!(stream instanceof ReplayedStream)) {
      throw new Error("a client that was not watched cannot be carried");
    }
    const { opening: { secret }, limits, clock, log } = this.#options;
    const home = (): Endpoint | null => this.#endpoints.get(STREAMS_WORKER)?.relay ?? null;
    try {
      await relayToStreams(stream, { home, secret, limits, clock }, signal);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      log.category("rtmp").info(`stream client lost: ${messageOf(error)}`);
    }
  }
}

type DeskAnswer = ToWorker & { type: "arrival" | "entry" };

export class RemoteAddresses<Client extends AddressClient> implements SharedAddresses<Client> {
  onReplaced: ((client: Client, path: ClientPath) => void) | null = null;
  readonly #post: (message: FromWorker) => void;
  readonly #clients: Counter;
  readonly #inside = new Map<number, { client: Client; path: ClientPath }>();
  readonly #asked = new Map<number, (answer: DeskAnswer) => void>();
  #asks = 0;

  /** Nobody yet. @param clients counts those who have entered */
  constructor(post: (message: FromWorker) => void, clients: Counter) {
    this.#post = post;
    this.#clients = clients;
  }

  /** Clients of this worker that have entered and not left. */
  get size(): number {
    return this.#inside.size;
  }

  arrive(path: ClientPath, registers: boolean): Promise<Arrival> {
    return new Promise((resolve) => {
      const ask = this.#ask((answer) => answer.type === "arrival" && resolve(answer.arrival));
      this.#post({ type: "arrive", ask, path, registers });
    });
  }

  enter(path: ClientPath, client: Client, registered: boolean): Promise<Entry<Client>> {
    return new Promise((resolve) => {
      const ask = this.#ask((answer) => {
        if (answer.type === "entry") resolve(this.#entered(answer.rejected, client));
      });
      this.#inside.set(client.id, { client, path }); // at once: it may be replaced before the answer is read
      this.#clients.add(1);
      this.#post({ type: "enter", ask, path, id: client.id, registered });
    });
  }

  leave(path: ClientPath, client: Client): void {
    if (this.#forget(client.id)) this.#post({ type: "leave", path, id: client.id });
  }

  answered(answer: DeskAnswer): void {
    const settle = this.#asked.get(answer.ask);
    this.#asked.delete(answer.ask);
    settle?.(answer);
  }

  replaced(id: number): void {
    const known = this.#inside.get(id);
    this.#forget(id);
    if (known !== undefined) this.onReplaced?.(known.client, known.path);
  }

  #entered(rejected: string | null, client: Client): Entry<Client> {
    if (rejected === null) return { type: "entered", replaced: null };
    this.#forget(client.id);
    return { type: "rejected", reason: rejected };
  }

  #forget(id: number): boolean {
    const known = this.#inside.delete(id);
    if (known) this.#clients.add(-1);
    return known;
  }

  #ask(settle: (answer: DeskAnswer) => void): number {
    const ask = ++this.#asks;
    this.#asked.set(ask, settle);
    return ask;
  }
}
