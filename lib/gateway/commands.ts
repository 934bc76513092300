// What an RTMP client may call, checked: connect, and a whitelist of commands, arguments turned into a typed value. A name that
// is not in the table does not exist, whatever methods our objects have.
// Role: wire

import { type AmfValue, getProperty, isAmfObject, propertiesOf } from "../amf/value.ts";
import { WireError } from "../base/errors.ts";
import type { Credentials } from "./access/login_guard.ts";
import { parseQuery } from "./urls.ts";
import type { ConnectRequest } from "../rtmp/command.ts";
import { type CallerFields, readExtraHeaders, readFromUser } from "../sip/message/extra_headers.ts";
import { parseSipUri } from "../sip/message/uri.ts";
import type { Identity } from "../sip/ua/endpoint.ts";

/** A command with its checked arguments; destinations and codec tokens as the client wrote them, no codecs: it gave none. */
export type ClientCommand =
  | { readonly name: "invite"; readonly destination: string; readonly codecs: readonly string[] }
  | { readonly name: "accept"; readonly codecs: readonly string[] }
  | {
    readonly name: "reject";
    /** 400 to 699. */
    readonly status: number;
    /** Printable; empty: the standard one of the status. */
    readonly reason: string;
  }
  | { readonly name: "bye" }
  | {
    readonly name: "sendDTMF";
    /** One or more of 0-9 * # A-D, upper case. */
    readonly digits: string;
    /** Of each digit. */
    readonly durationMs: number;
  }
  | { readonly name: "hold"; readonly on: boolean }
  | { readonly name: "sendMessage"; readonly text: string }
  | { readonly name: "sendPagingMessage"; readonly destination: string; readonly text: string };

/** A command to perform, or the reason to put in the `_error` reply. */
type ParsedClientCommand =
  | { type: "command"; command: ClientCommand }
  | { type: "refused"; reason: string };

/** Longest address, name or password. */
const MAX_TEXT_LENGTH = 1024;
const MAX_MESSAGE_LENGTH = 16384;
const MAX_REASON_LENGTH = 128;
/** siprtmp's longest list of codecs has nine. */
const MAX_TOKENS = 32;
const MAX_DIGITS = 64;
/** When the client does not say. */
const DEFAULT_TONE_MS = 160;
/** Shortest and longest digit: the longest fits the 16 bits of RFC 4733 at 8000 Hz. */
const TONE_MS: readonly [number, number] = [40, 8000];

type Arguments = readonly unknown[];
type Parser = (args: Arguments) => ClientCommand;

/** Thrown and caught inside this file only. */
class BadArgument extends Error {}

const parsers: ReadonlyMap<string, Parser> = new Map<string, Parser>([
  ["invite", parseInvite],
  ["accept", parseAccept],
  ["reject", parseReject],
  ["bye", parseBye],
  ["sendDTMF", parseSendDtmf],
  ["hold", parseHold],
  ["sendMessage", parseSendMessage],
  ["sendPagingMessage", parseSendPagingMessage],
]);

/** Checks one command of a client; `args` are the decoded AMF values after the command object. */
export function parseCommand(name: string, args: readonly unknown[]): ParsedClientCommand {
  const parse = parsers.get(name);
  if (parse === undefined) {
    return { type: "refused", reason: `there is no command ${printable(name, MAX_REASON_LENGTH)}` };
  }
  const outcome = orReason(() => parse(args));
  return outcome.type === "ok" ? { type: "command", command: outcome.value } : {
    type: "refused",
    reason: `${name}: ${outcome.reason}`,
  };
}

function orReason<T>(parse: () => T): { type: "ok"; value: T } | { type: "bad"; reason: string } {
  try {
    return { type: "ok", value: parse() };
  } catch (error) {
    if (error instanceof BadArgument) return { type: "bad", reason: error.message };
    throw error;
  }
}

function parseInvite(args: Arguments): ClientCommand {
  return { name: "invite", destination: address(args[0]), codecs: tokens(args.slice(1)) };
}

function parseAccept(args: Arguments): ClientCommand {
  return { name: "accept", codecs: tokens(args) };
}

/** "486 Busy Here" as it is; without a code 603 (behaviour.md 1.4). */
function parseReject(args: Arguments): ClientCommand {
  const given = args[0] ?? "";
  if (typeof given !== "string") throw new BadArgument("the reason must be text such as 486 Busy Here");
  const text = printable(given, MAX_REASON_LENGTH) || "Decline";
  if (!/^[4-6]\d\d(?: |$)/.test(text)) return { name: "reject", status: 603, reason: text };
  return { name: "reject", status: Number(text.slice(0, 3)), reason: text.slice(3).trim() };
}

function parseBye(): ClientCommand {
  return { name: "bye" };
}

function parseSendDtmf(args: Arguments): ClientCommand {
  const digits = typeof args[0] === "number" ? String(args[0]) : args[0];
  if (typeof digits !== "string" || !/^[0-9*#A-D]+$/i.test(digits) || digits.length > MAX_DIGITS) {
    throw new BadArgument(`the digits must be 1 to ${MAX_DIGITS} of 0-9 * # A-D`);
  }
  const durationMs = args[1] ?? DEFAULT_TONE_MS;
  const [min, max] = TONE_MS;
  if (typeof durationMs !== "number" || !(durationMs >= min && durationMs <= max)) {
    throw new BadArgument(`the duration must be ${min} to ${max} ms`);
  }
  return { name: "sendDTMF", digits: digits.toUpperCase(), durationMs };
}

function parseHold(args: Arguments): ClientCommand {
  if (typeof args[0] !== "boolean") throw new BadArgument("the argument must be true or false");
  return { name: "hold", on: args[0] };
}

function parseSendMessage(args: Arguments): ClientCommand {
  return { name: "sendMessage", text: messageText(args[0]) };
}

function parseSendPagingMessage(args: Arguments): ClientCommand {
  return { name: "sendPagingMessage", destination: address(args[0]), text: messageText(args[1]) };
}

function address(value: unknown): string {
  const text = optionalText(value, "the destination")?.trim();
  if (!text) throw new BadArgument("the destination is missing");
  return text;
}

/** Flash passes null for what it leaves out; the list ends up without it. */
function tokens(values: Arguments): string[] {
  const given = values.filter((value) => value !== null && value !== undefined);
  if (given.length > MAX_TOKENS) throw new BadArgument(`more than ${MAX_TOKENS} codecs`);
  return given.map((value) => {
    const token = optionalText(value, "a codec")?.trim();
    if (!token) throw new BadArgument("a codec has no name");
    return token;
  });
}

function messageText(value: unknown): string {
  if (typeof value !== "string" || value === "") throw new BadArgument("the text is missing");
  if (value.length > MAX_MESSAGE_LENGTH) {
    throw new BadArgument(`the text is longer than ${MAX_MESSAGE_LENGTH}`);
  }
  return value;
}

/** Text without control characters, since it ends up in SIP header lines; null when it was left out. */
function optionalText(value: unknown, what: string): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value !== "string") throw new BadArgument(`${what} must be text`);
  if (value.length > MAX_TEXT_LENGTH) throw new BadArgument(`${what} is longer than ${MAX_TEXT_LENGTH}`);
  if (hasControl(value)) throw new BadArgument(`${what} must not contain control characters`);
  return value;
}

function hasControl(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

function printable(text: string, maxLength: number): string {
  return text.slice(0, maxLength).replace(/\p{Cc}+/gu, " ").trim();
}

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
