// A client whose connect leaves open what it wants, or who it is, as encoders do that know a server and a stream key
// only: it is let in as far as its first publish or play, which says both.
// Role: edge

import type { Clock } from "../base/clock.ts";
import type { ConnectRequest } from "../rtmp/command.ts";
import type { RtmpEvent } from "../rtmp/stream_commands.ts";
import type { RtmpConnection } from "../rtmp/connection.ts";
import type { AppPath } from "./apps/app_path.ts";
import { credentialsOf, isNothing } from "./rtmp_credentials.ts";

/** A publish or a play, not yet answered. */
export type FirstStream = Extract<RtmpEvent, { type: "publish" | "play" }>;

/** Whether connect leaves open which application is meant or, where that is asked, who it is. */
export function isToldLater({ type }: AppPath, request: ConnectRequest, asksForLogin: boolean): boolean {
  if (type === "unnamed") return true;
  return type !== "sip" && type !== "rejected" && asksForLogin && isNothing(credentialsOf(request));
}

/** As much of a connection as it takes. */
export type Newcomer = Pick<RtmpConnection, "accept" | "events" | "giveBack" | "drop">;

/**
 * Accepts the connect and waits for the first publish or play, which is the first event again for whoever reads them
 * next. Null: the client has left, or said none within `waitMs` and was dropped.
 */
export async function firstStream(
  client: Newcomer,
  { clock, waitMs }: { readonly clock: Clock; readonly waitMs: number },
): Promise<FirstStream | null> {
  using _timer = clock.after(waitMs, () => client.drop());
  client.accept();
  for await (const event of client.events()) {
    if (event.type === "publish" || event.type === "play") {
      client.giveBack(event);
      return event;
    }
    if (event.type === "command") event.reply.result(); // as siprtmp answered whatever programs say
  }
  return null;
}
