// Lets the clients of one application in: accepts their connection and runs an AccountClient on it until they leave.
// Role: edge

import type { Logger } from "../base/log.ts";
import type { ConnectRequest } from "../rtmp/command.ts";
import type { RtmpConnection } from "../rtmp/connection.ts";
import { AccountClient, type AccountServices } from "./apps/account_client.ts";

/** Serves the clients of the call application, or of the line application. */
export class AccountDoor {
  readonly #name: "call" | "line";
  readonly #services: AccountServices;
  readonly #log: Logger;

  /** Nobody yet. @param name first element of the paths it is for */
  constructor(name: "call" | "line", services: AccountServices, log: Logger) {
    this.#name = name;
    this.#services = services;
    this.#log = log.category("rtmp");
  }

  /**
   * Serves a client that has said connect and was not answered yet, until it leaves. The connection stays its owner's
   * to dispose of. Never throws for what a client does.
   * @param proof the user or token of its login; null: nobody is asked
   */
  async serve(
    connection: RtmpConnection,
    { app, query }: Pick<ConnectRequest, "app" | "query">,
    proof: string | null,
    signal: AbortSignal,
  ): Promise<void> {
    if (signal.aborted) return; // its owner has closed it
    const log = this.#log.child(`client ${connection.id} ${app}`);
    const path = { application: this.#name, app, query, proof };
    await using client = new AccountClient(connection, path, this.#services, log);
    connection.onMedia = (stream, message) => client.media(stream, message);
    connection.accept();
    for await (const event of connection.events()) client.handle(event);
  }
}
