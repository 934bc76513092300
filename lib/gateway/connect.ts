// What an RTMP client says with connect(url, login, password, name, rate, {...}): its SIP identity, what is different
// about its calls, and its credentials for the gateway.
// Role: wire

import { type AmfValue, getProperty, isAmfObject, propertiesOf } from "../amf/value.ts";
import { WireError } from "../base/errors.ts";
import type { Credentials } from "./access/login_guard.ts";
import { parseQuery } from "./urls.ts";
import type { ConnectRequest } from "../rtmp/command.ts";
import { type CallerFields, readExtraHeaders, readFromUser } from "../sip/message/extra_headers.ts";
import { parseSipUri } from "../sip/message/uri.ts";
import type { Identity } from "../sip/ua/endpoint.ts";

/** Default audio when the client gives no codec list. */
type SpeexRate = "wideband" | "narrowband";

export type ClientIdentity =
  | { type: "accepted"; identity: Identity; rate: SpeexRate }
  | { type: "rejected"; reason: string };

const MAX_ARGUMENT_LENGTH = 256;

/**
 * Reads the address of the path and the positional connect arguments; never throws.
 * @param askedBy IP address of the client
 */
export function identityOf(address: string, args: readonly AmfValue[], askedBy?: string): ClientIdentity {
  const [login, password, displayName, rate] = args;
  const texts = [login, password, displayName, rate];
  if (texts.some((value) => typeof value === "string" && value.length > MAX_ARGUMENT_LENGTH)) {
    return { type: "rejected", reason: "a connect argument is too long" };
  }
  try {
    const aor = parseSipUri(`sip:${address}`);
    if (address.startsWith("@")) throw new WireError("SIP", "no user before @");
    const identity: Identity = {
      aor,
      displayName: textOf(displayName),
      username: textOf(login) ?? aor.user,
      password: textOf(password),
      ...(askedBy !== undefined && { askedBy }),
      md5WithoutQop: true, // as siprtmp's clients expect it of their own registrar
    };
    return { type: "accepted", identity, rate: rate === "narrowband" ? "narrowband" : "wideband" };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { type: "rejected", reason: `"${address}" is not a SIP address: ${error.message}` };
  }
}

/** Numbers happen: a program that builds its arguments from text may send 1001 for "1001". */
function textOf(value: AmfValue | undefined): string | null {
  const text = typeof value === "number" && Number.isFinite(value) ? String(value) : value;
  return typeof text === "string" && text !== "" ? text : null;
}

type ConnectOptions =
  | {
    readonly type: "options";
    readonly fields: CallerFields;
    readonly tellsCallerHeaders: boolean;
  }
  | { readonly type: "rejected"; readonly reason: string };

/** Flash Player on its systems: ActionScript refuses a call with more arguments than its function declares. */
const FLASH_PLAYER = /^(?:WIN|MAC|LNX|AND|IOS) \d/;

/**
 * Reads `{ headers: { "X-Tenant": "7" }, fromUser: "4930123", callerHeaders: true }` of the arguments, or of the members
 * of the connect command itself; never throws.
 */
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

/**
 * How a client shows who it is; what counts first: the URL (`?token=...` or `?user=alice&password=...`, also behind the
 * stream's name), an object `{ token }` or `{ user, password }`, the arguments as siprtmp's clients give their SIP
 * login. Never throws; what is missing or too long is null.
 */
export function credentialsOf(
  { query, args = [] }: { readonly query: string; readonly args?: readonly AmfValue[] },
): Credentials {
  const explicit = readNamed(fromQuery(query)) ?? readNamed(fromObject(args));
  const [user, password] = args;
  return explicit ?? { user: shownText(user), password: shownText(password), token: null };
}

export function isNothing({ password, token }: Credentials): boolean {
  return password === null && token === null;
}

type Lookup = (name: string) => string | null;

function fromQuery(query: string): Lookup {
  const parameters = parseQuery(query);
  return (name) => shownText(parameters.get(name) ?? undefined);
}

function fromObject(args: readonly AmfValue[]): Lookup {
  const object = args.find(isAmfObject);
  return (name) => object === undefined ? null : shownText(getProperty(object, name));
}

function readNamed(lookup: Lookup): Credentials | null {
  const found = { user: lookup("user"), password: lookup("password"), token: lookup("token") };
  return found.token === null && found.password === null ? null : found;
}

function shownText(value: AmfValue | undefined): string | null {
  const text = textOf(value);
  return text !== null && text.length <= MAX_ARGUMENT_LENGTH ? text : null;
}
