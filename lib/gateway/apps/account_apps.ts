// The applications of the gateway's own SIP users, `call` and `line`: made together, since they share everything, and
// ended together.
// Role: edge

import type { AccessPolicy } from "../access/access_policy.ts";
import type { ConnectRequest } from "../../rtmp/command.ts";
import type { OnBusyPolicy } from "../../live/publisher.ts";
import type { RtmpConnection } from "../../rtmp/connection.ts";
import { AccountDoor } from "../account_door.ts";
import type { ServedAccount } from "./account_client.ts";
import { CallApp } from "./call_app.ts";
import { LineApp, type LineAppParts } from "./line_app.ts";

export interface AccountAppsParts extends LineAppParts {
  readonly accounts: { get(name: string): ServedAccount | undefined; all(): readonly ServedAccount[] };
  /** Who may call whom, and who has a key. */
  readonly access: AccessPolicy;
  /** Later than this nothing should arrive at a player. */
  readonly latencyMs: number;
  /** What happens to who publishes what somebody else publishes. */
  readonly onBusy: OnBusyPolicy;
}

export class AccountApps implements AsyncDisposable {
  readonly #calls: CallApp;
  readonly #lines: LineApp;
  readonly #doors: Readonly<Record<"call" | "line", AccountDoor>>;

  /** Nothing runs yet. */
  constructor(parts: AccountAppsParts) {
    const { accounts, access, clock, latencyMs, log, onBusy } = parts;
    this.#calls = new CallApp(parts);
    this.#lines = new LineApp(parts);
    const shared = {
      accounts,
      mayUseKey: access.mayUseKey.bind(access),
      clock,
      latencyMs,
      onBusy,
    };
    this.#doors = {
      call: new AccountDoor("call", { ...shared, application: this.#calls }, log),
      line: new AccountDoor("line", { ...shared, application: this.#lines }, log),
    };
  }

  /** Takes calls for the accounts from now on. */
  start(): void {
    this.#lines.start();
  }

  /** Serves a client that has said connect, until it leaves. */
  async serve(
    client: RtmpConnection,
    request: Pick<ConnectRequest, "app" | "query">,
    { application, proof }: { readonly application: "call" | "line"; readonly proof: string | null },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#doors[application].serve(client, request, proof, signal);
  }

  /** Waits until every call is hung up; the clients have left and the accounts have ended by now. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#calls[Symbol.asyncDispose](), this.#lines[Symbol.asyncDispose]()]);
  }
}
