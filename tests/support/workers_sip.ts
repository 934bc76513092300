// Two workers' SIP ports on a network in memory, joined as the supervisor joins them: what one posts the other takes.

import type { MessageTransport, SipEndpoint } from "../../lib/sip/ua/endpoint.ts";
import type { SipMessage } from "../../lib/sip/message/message.ts";
import type { AgentNews } from "../../lib/sip/ua/worker_events.ts";
import type { Flow, SendOutcome, Target } from "../../lib/sip/message/target.ts";
import { SharedTransport } from "../../lib/workers/shared_transport.ts";
import { linePrefixOf, UserDirectory } from "../../lib/workers/user_directory.ts";
import { identity, type ScriptedPeer, SipNetwork } from "./sip_network.ts";

/** Where the gateway is; worker n has port 5060 + n. */
export const HOST = "10.0.0.1";

/** A scripted peer as the transport of one port. */
class PeerTransport implements MessageTransport {
  onMessage: ((message: SipMessage, flow: Flow) => void) | null = null;
  readonly port: number;
  readonly #network: SipNetwork;
  readonly #peer: ScriptedPeer;

  constructor(network: SipNetwork, port: number) {
    this.port = port;
    this.#network = network;
    this.#peer = network.peer(HOST, port);
    const local = this.#peer.at;
    this.#peer.onMessage = (message) => {
      const via = message.headers.get("Via") ?? "";
      const source = /\s([^\s;:]+)(?::(\d+))?/.exec(via);
      const remote = { hostname: source?.[1] ?? "", port: Number(source?.[2] ?? 5060) };
      this.onMessage?.(message, { transport: "udp", remote, local, connectionId: 0 });
      return true;
    };
  }

  send(message: SipMessage, target: Target): Promise<SendOutcome> {
    this.#network.carry(message, this.#peer.at, target);
    const flow: Flow = target.flow ??
      { transport: "udp", remote: target.endpoint, local: this.#peer.at, connectionId: 0 };
    return Promise.resolve({ type: "sent", transport: target.transport, flow });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#network.detach(this.#peer.at);
    return Promise.resolve();
  }
}

/** Two workers and what they posted to each other. */
export interface WorkerScene {
  readonly network: SipNetwork;
  readonly endpoints: readonly [SipEndpoint, SipEndpoint];
  /** "0>1 INVITE" for a message handed over, "1>0 200" for one relayed back. */
  readonly posted: string[];
  /** A user of a worker. */
  user(worker: 0 | 1, aor: string): ReturnType<SipEndpoint["createUserAgent"]>;
  close(): Promise<void>;
}

export function workerScene(): WorkerScene {
  const network = new SipNetwork();
  const posted: string[] = [];
  const transports: SharedTransport[] = [];
  const directories = [new UserDirectory(), new UserDirectory()];
  const nameOf = (bytes: Uint8Array): string => {
    const [first = "", second = ""] = new TextDecoder().decode(bytes).split(" ");
    return first === "SIP/2.0" ? second : first;
  };
  const open = (worker: number): SipEndpoint => {
    const shared = new SharedTransport(new PeerTransport(network, 5060 + worker), {
      worker,
      directory: directories[worker]!,
      workerAtPort: (port) => port === 5060 || port === 5061 ? port - 5060 : null,
      // Posted values are copies.
      handOver: (to, message) => {
        posted.push(`${worker}>${to} ${nameOf(message.bytes)}`);
        transports[to]!.takeHanded(worker, structuredClone(message));
      },
      relay: (to, message) => {
        posted.push(`${worker}>${to} ${nameOf(message.bytes)}`);
        transports[to]!.takeRelayed(structuredClone(message));
      },
      log: network.log,
    });
    transports[worker] = shared;
    const workerEvents = {
      linePrefix: linePrefixOf(worker),
      agentCame: (news: AgentNews) => directories.forEach((directory) => directory.add({ worker, ...news })),
      agentLeft: (line: string) => directories.forEach((directory) => directory.remove(line)),
      dialogIs: () => {},
      dialogEnded: () => {},
    };
    return network.endpoint(HOST, {}, { workerEvents, openTransport: () => shared });
  };
  const endpoints = [open(0), open(1)] as const;
  return {
    network,
    endpoints,
    posted,
    user: (worker, aor) => endpoints[worker].createUserAgent(identity(aor)),
    close: () => network.close(...endpoints),
  };
}
