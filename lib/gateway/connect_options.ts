// What an RTMP client asks for in an object of its connect command, beside login and the like:
//
//   connect(url, login, password, name, rate, { headers: { "X-Tenant": "7" }, fromUser: "4930123", callerHeaders: true })
//
// Programs that put their own members into the connect command itself may say it there.
// Role: wire

import { type AmfValue, getProperty, propertiesOf } from "../amf/value.ts";
import type { ConnectRequest } from "../rtmp/command.ts";
import { type CallerFields, readExtraHeaders, readFromUser } from "../sip/message/extra_headers.ts";

/** What was asked for, or why it cannot be had. */
export type ConnectOptions =
  | {
    readonly type: "options";
    /** What is different about its calls. */
    readonly fields: CallerFields;
    /** Whether `invited` has a third argument when the caller says more about itself. */
    readonly tellsCallerHeaders: boolean;
  }
  | { readonly type: "rejected"; readonly reason: string };

/** Flash Player on its systems: ActionScript refuses a call with more arguments than its function declares. */
const FLASH_PLAYER = /^(?:WIN|MAC|LNX|AND|IOS) \d/;

/** Reads them; never throws. */
export function connectOptionsOf(
  { args, properties, flashVer }: Pick<ConnectRequest, "args" | "properties" | "flashVer">,
): ConnectOptions {
  const named = (name: string): AmfValue | undefined => {
    for (const part of [...args, properties]) {
      const value = getProperty(propertiesOf(part), name);
      if (value !== undefined && value !== null) return value;
    }
    return undefined;
  };
  const [written, user, wanted] = [named("headers"), named("fromUser"), named("callerHeaders")];
  const headers = written === undefined
    ? []
    : readExtraHeaders(typeof written === "object" ? propertiesOf(written) : null);
  if (typeof headers === "string") return { type: "rejected", reason: `headers ${headers}` };
  const fromUser = user === undefined ? undefined : readFromUser(user);
  if (fromUser === null) return { type: "rejected", reason: "fromUser must be a number or name" };
  return {
    type: "options",
    fields: { ...(headers.length > 0 && { headers }), ...(fromUser !== undefined && { fromUser }) },
    tellsCallerHeaders: typeof wanted === "boolean" ? wanted : !FLASH_PLAYER.test(flashVer),
  };
}
