// Text messages in and out of a call, as siprtmp's FAQ named them: sendMessage, receivedMessage,
// sendPagingMessage, receivedPagingMessage. The result of the RPC says whether the message was taken.
// Role: edge
// Answers to: the MESSAGE patch of siprtmp's FAQ (behaviour.md 1.5, 1.12 #16).

import type { AmfValue } from "../amf/value.ts";
import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import type { SipBody } from "../sip/body.ts";
import type { Call } from "../sip/call.ts";
import { formatNameAddr, type NameAddr, parseDestination } from "../sip/name_addr.ts";
import type { LineOwner } from "./line.ts";

/** Answers one RPC. */
export interface CommandReply {
  /** Success, with the values the client gets. */
  result(...values: AmfValue[]): void;
  /** Failure, with a NetConnection code and a plain description. */
  error(code: string, description: string): void;
}

/** Sends a text inside the call; the RPC's result is true when the far end took it. */
export function sendMessage(owner: LineOwner, call: Call, text: string, reply: CommandReply): void {
  owner.scope.spawn("message", async () => {
    answerWith(reply, await call.message(textBody(text)), "");
  });
}

/** Sends a text outside any call. */
export function sendPagingMessage(owner: LineOwner, destination: string, text: string, reply: CommandReply) {
  let to: NameAddr;
  try {
    to = parseDestination(destination, owner.agent.identity.aor.host);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return reply.error("NetConnection.Call.Failed", "invalid dest URI");
  }
  owner.scope.spawn(`message to ${destination}`, async (signal) => {
    const outcome = await owner.agent.request("MESSAGE", to, textBody(text), signal);
    answerWith(reply, outcome.status, outcome.reason);
  });
}

/** Tells the client of a text that came outside any call. */
export function receivedPagingMessage(owner: LineOwner, message: { from: NameAddr; body: SipBody }): void {
  const from = formatNameAddr({ ...message.from, params: new Map() });
  owner.link.call("receivedPagingMessage", from, decodeUtf8(message.body.bytes));
}

function answerWith(reply: CommandReply, status: number, reason: string): void {
  if (status >= 200 && status < 300) reply.result(true);
  else reply.error("NetConnection.Call.Failed", `${status} ${reason}`.trim());
}

function textBody(text: string): SipBody {
  return { type: "text/plain;charset=UTF-8", bytes: encodeUtf8(text) };
}
