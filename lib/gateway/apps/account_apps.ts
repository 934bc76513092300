// The applications of the gateway's own SIP users, `call` and `line`: made together, since they share everything, and
// ended together.
// Role: edge

import type { AccessPolicy } from "../access/access_policy.ts";
import type { Logger } from "../../base/log.ts";
import { type PlaySettings, serveConnection } from "../../live/net_stream_client.ts";
import type { ConnectRequest } from "../../rtmp/command.ts";
import type { RtmpConnection } from "../../rtmp/connection.ts";
import { AccountClient, type AccountServices, type ServedAccount } from "./account_client.ts";
import { CallApp } from "./call_app.ts";
import { LineApp, type LineAppParts } from "./line_app.ts";

interface AccountAppsParts extends LineAppParts, PlaySettings {
  readonly accounts: { get(name: string): ServedAccount | undefined; all(): readonly ServedAccount[] };
  readonly access: AccessPolicy;
}

export class AccountApps implements AsyncDisposable {
  readonly #calls: CallApp;
  readonly #lines: LineApp;
  readonly #services: Readonly<Record<"call" | "line", AccountServices>>;
  readonly #log: Logger;

  constructor(parts: AccountAppsParts) {
    const { access, log } = parts;
    this.#calls = new CallApp(parts);
    this.#lines = new LineApp(parts);
    this.#log = log.category("rtmp");
    const mayUseKey = access.mayUseKey.bind(access);
    this.#services = {
      call: { ...parts, mayUseKey, application: this.#calls },
      line: { ...parts, mayUseKey, application: this.#lines },
    };
  }

  start(): void {
    this.#lines.start();
  }

  /**
   * Serves a client that has said connect, until it leaves. Never throws for what a client does.
   * @param proof the user or token of its login; null: nobody is asked
   */
  async serve(
    connection: RtmpConnection,
    { app, query }: Pick<ConnectRequest, "app" | "query">,
    { application, proof }: { readonly application: "call" | "line"; readonly proof: string | null },
    signal: AbortSignal,
  ): Promise<void> {
    if (signal.aborted) return; // its owner has closed it
    const log = this.#log.child(`client ${connection.id} ${app}`);
    const path = { application, app, query, proof };
    await using client = new AccountClient(connection, path, this.#services[application], log);
    await serveConnection(connection, client);
  }

  /** Waits until every call is hung up; the clients have left and the accounts have ended by now. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#calls[Symbol.asyncDispose](), this.#lines[Symbol.asyncDispose]()]);
  }
}
