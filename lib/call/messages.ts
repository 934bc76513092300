// Text messages in and out of a call, as siprtmp's FAQ named them: sendMessage, receivedMessage,
// sendPagingMessage, receivedPagingMessage. The result of the RPC says whether the message was taken.
// Role: edge

import { ALLOWED } from "../gateway/access/dial_rules.ts";
import type { AmfValue } from "../amf/value.ts";
import { WireError } from "../base/errors.ts";
import { bodyText, isText, type SipBody, textBody } from "../sip/message/body.ts";
import type { Call } from "../sip/ua/call.ts";
import { formatNameAddr, type NameAddr } from "../sip/message/name_addr.ts";
import { reasonPhrase } from "../sip/message/reason_phrase.ts";
import { blockedHere, callerOf, type LineOwner, targetOf } from "./line.ts";

export interface CommandReply {
  /** Success, with the values the client gets. */
  result(...values: AmfValue[]): void;
  /** Failure, with a NetConnection code and a plain description. */
  error(code: string, description: string): void;
}

/** Sends a text inside the call; the RPC's result is true when the far end took it. */
export function sendMessage(owner: LineOwner, call: Call, text: string, reply: CommandReply): void {
  owner.scope.spawn("message", async () => {
    const status = await call.message(textBody(text));
    answerWith(reply, status, reasonPhrase(status));
  });
}

/** Sends a text outside any call. */
export function sendPagingMessage(
  owner: LineOwner,
  destination: string,
  text: string,
  reply: CommandReply,
): void {
  let to: NameAddr;
  try {
    to = targetOf(owner, destination);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return reply.error("NetConnection.Call.Failed", "invalid dest URI");
  }
  const permission = owner.services.mayMessage?.(to.uri) ?? ALLOWED;
  if (permission.type === "refused") {
    owner.log.warn(`no message goes to "${destination}": ${permission.reason}`);
    return reply.error("NetConnection.Call.Failed", blockedHere(permission.reason));
  }
  owner.scope.spawn(`message to ${destination}`, async (signal) => {
    const outcome = await owner.agent.request("MESSAGE", to, textBody(text), signal, callerOf(owner));
    answerWith(reply, outcome.status, outcome.reason);
  });
}

/** Tells the client of a text that came inside the call. */
export function receivedMessage(owner: LineOwner, body: SipBody): void {
  if (isForPeople(owner, body)) owner.link.call("receivedMessage", bodyText(body));
}

/** Tells the client of a text that came outside any call. */
export function receivedPagingMessage(owner: LineOwner, message: { from: NameAddr; body: SipBody }): void {
  const from = formatNameAddr({ ...message.from, params: new Map() });
  if (isForPeople(owner, message.body)) {
    owner.link.call("receivedPagingMessage", from, bodyText(message.body));
  }
}

function isForPeople(owner: LineOwner, body: SipBody): boolean {
  if (isText(body)) return true;
  owner.log.debug(`a message of type ${body.type} was left out`);
  return false;
}

function answerWith(reply: CommandReply, status: number, reason: string): void {
  if (status >= 200 && status < 300) reply.result(true);
  else reply.error("NetConnection.Call.Failed", `${status} ${reason}`.trim());
}
