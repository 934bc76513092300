// Text messages in and out of a call, as siprtmp's FAQ named them: sendMessage, receivedMessage,
// sendPagingMessage, receivedPagingMessage. The result of the RPC says whether the message was taken.
// Role: edge

import type { AmfValue } from "../amf/value.ts";
import { WireError } from "../base/errors.ts";
import { bodyText, isText, type SipBody, textBody } from "../sip/message/body.ts";
import { formatNameAddr, type NameAddr } from "../sip/message/name_addr.ts";
import { reasonPhrase } from "../sip/message/message.ts";
import { blockedHere, callerOf, type CallLeg, NO_CALL, targetOf } from "./leg.ts";

export interface CommandReply {
  result(...values: AmfValue[]): void;
  error(code: string, description: string): void;
}

/** Sends a text inside the call; the RPC's result is true when the remote party took it. */
export function sendMessage(leg: CallLeg, text: string, reply: CommandReply): void {
  if (leg.state.type !== "talking") return reply.error("NetConnection.Call.Failed", NO_CALL);
  const { call } = leg.state;
  leg.scope.spawn("message", async () => {
    const status = await call.message(textBody(text));
    answerWith(reply, status, reasonPhrase(status));
  });
}

export function sendPagingMessage(
  leg: CallLeg,
  destination: string,
  text: string,
  reply: CommandReply,
): void {
  let to: NameAddr;
  try {
    to = targetOf(leg, destination);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return reply.error("NetConnection.Call.Failed", "invalid dest URI");
  }
  const permission = leg.services.shared.access.mayDial(to.uri);
  if (permission.type === "refused") {
    leg.log.warn(`MESSAGE to "${destination}" not sent: ${permission.reason}`);
    return reply.error("NetConnection.Call.Failed", blockedHere(permission.reason));
  }
  leg.scope.spawn(`message to ${destination}`, async (signal) => {
    const outcome = await leg.agent.request("MESSAGE", to, textBody(text), signal, callerOf(leg));
    answerWith(reply, outcome.status, outcome.reason);
  });
}

export function receivedMessage(leg: CallLeg, body: SipBody): void {
  if (isForPeople(leg, body)) leg.link.call("receivedMessage", bodyText(body));
}

export function receivedPagingMessage(leg: CallLeg, message: { from: NameAddr; body: SipBody }): void {
  const from = formatNameAddr({ ...message.from, params: new Map() });
  if (isForPeople(leg, message.body)) {
    leg.link.call("receivedPagingMessage", from, bodyText(message.body));
  }
}

function isForPeople(leg: CallLeg, body: SipBody): boolean {
  if (isText(body)) return true;
  leg.log.debug(`MESSAGE ignored: content type ${body.type}`);
  return false;
}

function answerWith(reply: CommandReply, status: number, reason: string): void {
  if (status >= 200 && status < 300) reply.result(true);
  else reply.error("NetConnection.Call.Failed", `${status} ${reason}`.trim());
}
