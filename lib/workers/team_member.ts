// The team as one worker sees it: what its gateway asks of the others becomes messages to the supervisor, and what the
// supervisor posts reaches the part of the gateway that it is for.
// Role: edge

import type { AddressChange } from "../gateway/access/address_limits.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf, TransportError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Tally } from "../base/tally.ts";
import type { AddressNews, StreamsHome, Team } from "../gateway/team.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { ByteStream, SendLimits } from "../net/tcp.ts";
import type { RtmpConnection } from "../rtmp/connection.ts";
import type { MessageTransport } from "../sip/ua/endpoint.ts";
import type { SipNeighbours } from "../sip/ua/neighbours.ts";
import { carryHome, KeptStream } from "./carrier.ts";
import { homeDoor } from "./home_door.ts";
import type { FromWorker, Opening, Place, ToWorker } from "./messages.ts";
import { RemoteTenancy } from "./remote_tenancy.ts";
import type { SharedCounts } from "./shared_counts.ts";
import { SharedTransport } from "./shared_transport.ts";
import { HOME } from "./slice.ts";
import { linePrefixOf, UserDirectory } from "./user_directory.ts";

export interface TeamMemberOptions {
  readonly opening: Opening;
  readonly counts: SharedCounts;
  readonly post: (message: FromWorker) => void;
  /** Bounds of what is unsent on connections that are carried. */
  readonly limits: SendLimits;
  readonly clock: Clock;
  /** Where lines go. */
  readonly log: Logger;
}

/** News between workers: everything the supervisor posts but what is about the worker itself. */
export type TeamNews = Exclude<ToWorker, { type: "open" | "reload" | "stop" }>;

/** One worker's view of all. */
export class TeamMember implements Team {
  readonly sip: SipNeighbours;
  readonly connections: Tally;
  readonly calls: Tally;
  readonly tenancy: RemoteTenancy<RtmpConnection>;
  readonly addresses: AddressNews;
  readonly streams: StreamsHome;
  readonly #options: TeamMemberOptions;
  readonly #worker: number;
  readonly #users = new UserDirectory();
  readonly #places = new Map<number, Place>();
  readonly #homePort = Promise.withResolvers<Endpoint>();
  readonly #early: AddressChange[];
  #transport: SharedTransport | null = null;

  /** Knows what the opening says. */
  constructor(options: TeamMemberOptions) {
    const { opening, counts, post } = options;
    const worker = this.#worker = opening.seat.index;
    this.#options = options;
    for (const resident of opening.residents) this.#users.add(resident);
    for (const place of opening.places) this.#places.set(place.worker, place);
    this.#early = [...opening.addresses];
    this.connections = counts.tally(worker, "connections");
    this.calls = counts.tally(worker, "calls");
    this.tenancy = new RemoteTenancy(post, counts.tally(worker, "clients"));
    this.addresses = { tell: (change) => post({ type: "address", change }), onChange: null };
    this.sip = this.#neighbours();
    this.streams = worker === HOME ? this.#streamsHere() : this.#streamsElsewhere();
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
  async place(sipPort: number): Promise<Place> {
    const home = this.#worker === HOME ? await this.#homePort.promise : null;
    return { worker: this.#worker, sipPort, home };
  }

  /** Takes what the supervisor posts. */
  take(news: TeamNews): void {
    switch (news.type) {
      case "place":
        return void this.#places.set(news.place.worker, news.place);
      case "gone":
        this.#places.delete(news.worker);
        return this.#users.removeWorker(news.worker);
      case "came":
        return this.#users.add(news.resident);
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
        return this.tenancy.answered(news);
      case "replaced":
        return this.tenancy.replaced(news.id);
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
    for (const place of this.#places.values()) if (place.sipPort === sipPort) return place.worker;
    return null;
  }

  #neighbours(): SipNeighbours {
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

  #streamsHere(): StreamsHome {
    this.#homePort.promise.catch(() => {}); // place() throws it
    return { type: "here", arrivals: (signal) => this.#arrivals(signal) };
  }

  async *#arrivals(signal: AbortSignal): AsyncGenerator<ByteStream> {
    const { opening: { secret }, limits, clock, log } = this.#options;
    const onListening = this.#homePort.resolve;
    try {
      yield* homeDoor({ secret, limits, clock, log, onListening }, signal);
    } finally {
      this.#homePort.reject(
        new TransportError("the private port for clients of streams cannot be had", "failed"),
      );
    }
  }

  #streamsElsewhere(): StreamsHome {
    return {
      type: "elsewhere",
      watch: (stream) => new KeptStream(stream),
      carry: (stream, signal) => this.#carry(stream, signal),
    };
  }

  /** A way that breaks is the client's loss and nobody's defect. */
  async #carry(stream: ByteStream, signal: AbortSignal): Promise<void> {
    if (!(stream instanceof KeptStream)) throw new Error("a client that was not watched cannot be carried");
    const { opening: { secret }, limits, clock, log } = this.#options;
    const home = (): Endpoint | null => this.#places.get(HOME)?.home ?? null;
    try {
      await carryHome(stream, { home, secret, limits, clock }, signal);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      log.category("rtmp").info(`A client of streams was lost: ${messageOf(error)}`);
    }
  }
}
