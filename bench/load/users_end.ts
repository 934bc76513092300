// Clients that log in and then do nothing: the gateway registers each at the load end's registrar.
// Role: edge

import type { LoadSockets } from "./load_sockets.ts";
import type { RegisterRequest, RegisterResult } from "./protocol.ts";
import { RtmpLoadClient } from "./rtmp_client.ts";
import type { SipAnswerer } from "./sip_answerer.ts";
import { Failures } from "./window.ts";

/** Idle users. */
export class UsersEnd implements Disposable {
  readonly #registrar: SipAnswerer;
  readonly #sockets: LoadSockets;
  readonly #clients: RtmpLoadClient[] = [];
  #names = 0;
  #left = 0;

  /** @param registrar where the gateway registers them */
  constructor(registrar: SipAnswerer, sockets: LoadSockets) {
    this.#registrar = registrar;
    this.#sockets = sockets;
  }

  /** Everybody leaves. */
  [Symbol.dispose](): void {
    for (const client of this.#clients.splice(0)) client.close();
  }

  /** See the protocol. */
  async register({ port, count, together }: RegisterRequest): Promise<RegisterResult> {
    const startMs = performance.now();
    const failures = new Failures();
    const last = this.#names + count;
    const logIn = async (): Promise<void> => {
      while (this.#names < last) {
        const name = `user${this.#names++}`;
        try {
          this.#clients.push(await this.#open(port, name));
        } catch (error) {
          failures.note(error);
        }
      }
    };
    await Promise.all(Array.from({ length: together }, logIn));
    return {
      registered: this.#clients.length - this.#left,
      failures: failures.texts,
      seconds: (performance.now() - startMs) / 1000,
      requests: this.#registrar.counts.REGISTER ?? 0,
    };
  }

  #open(port: number, name: string): Promise<RtmpLoadClient> {
    const app = `sip/${name}@127.0.0.1:${this.#registrar.port}`;
    const sockets = this.#sockets;
    return RtmpLoadClient.open({ port, app, args: [name, "secret", null, "wideband"], sockets }, {
      onCall: () => {},
      onMedia: () => {},
      onClosed: () => void this.#left++,
    });
  }
}
