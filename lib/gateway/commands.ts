// The commands an RTMP client may call, checked: a whitelist, one line each, arguments turned into a typed
// value. A name that is not in the table does not exist, whatever methods our objects have.
// Role: wire

/** A command with its checked arguments. */
export type ClientCommand =
  | InviteCommand
  | AcceptCommand
  | RejectCommand
  | ByeCommand
  | SendDtmfCommand
  | HoldCommand
  | SendMessageCommand
  | SendPagingMessageCommand;

export interface InviteCommand {
  readonly name: "invite";
  /** Whom to call, as the client wrote it. */
  readonly destination: string;
  /** Codec tokens in the client's order; empty: it gave none. */
  readonly codecs: readonly string[];
}

/** Answers the pending invitation. */
export interface AcceptCommand {
  readonly name: "accept";
  /** Codec tokens in the client's order; empty: it gave none. */
  readonly codecs: readonly string[];
}

/** Refuses the pending invitation. */
export interface RejectCommand {
  readonly name: "reject";
  /** SIP status, 400 to 699. */
  readonly status: number;
  /** Reason phrase, printable; empty: the standard one of the status. */
  readonly reason: string;
}

/** Ends the call, or the attempt. */
export interface ByeCommand {
  readonly name: "bye";
}

/** Sends touch tones. */
export interface SendDtmfCommand {
  readonly name: "sendDTMF";
  /** One or more of 0-9 * # A-D, upper case. */
  readonly digits: string;
  /** Length of each tone, in ms. */
  readonly durationMs: number;
}

/** Puts the call on hold or takes it back. */
export interface HoldCommand {
  readonly name: "hold";
  /** True: hold. */
  readonly on: boolean;
}

/** Sends text to the other side of the call. */
export interface SendMessageCommand {
  readonly name: "sendMessage";
  readonly text: string;
}

/** Sends text to anybody, outside a call. */
export interface SendPagingMessageCommand {
  readonly name: "sendPagingMessage";
  /** To whom, as the client wrote it. */
  readonly destination: string;
  readonly text: string;
}

/** A command to perform, or the reason to put in the `_error` reply. */
export type ParsedClientCommand =
  | { type: "command"; command: ClientCommand }
  | { type: "refused"; reason: string };

/** Longest address, name or password. */
const MAX_TEXT_LENGTH = 1024;
/** Longest message text, in characters. */
const MAX_MESSAGE_LENGTH = 16384;
/** Longest reason phrase. */
const MAX_REASON_LENGTH = 128;
/** Most codec tokens in a list; siprtmp's longest list has nine. */
const MAX_TOKENS = 32;
/** Most touch tones in one command. */
const MAX_DIGITS = 64;
/** Length of a touch tone when the client does not say, in ms. */
const DEFAULT_TONE_MS = 160;
/** Shortest and longest touch tone, in ms: the longest fits the 16 bits of RFC 4733 at 8000 Hz. */
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

function parseInvite(args: Arguments): InviteCommand {
  return { name: "invite", destination: address(args[0]), codecs: tokens(args.slice(1)) };
}

function parseAccept(args: Arguments): AcceptCommand {
  return { name: "accept", codecs: tokens(args) };
}

/** "486 Busy Here" as it is; without a code 603 (behaviour.md 1.4). */
function parseReject(args: Arguments): RejectCommand {
  const given = args[0] ?? "";
  if (typeof given !== "string") throw new BadArgument("the reason must be text such as 486 Busy Here");
  const text = printable(given, MAX_REASON_LENGTH) || "Decline";
  if (!/^[4-6]\d\d(?: |$)/.test(text)) return { name: "reject", status: 603, reason: text };
  return { name: "reject", status: Number(text.slice(0, 3)), reason: text.slice(3).trim() };
}

function parseBye(): ByeCommand {
  return { name: "bye" };
}

function parseSendDtmf(args: Arguments): SendDtmfCommand {
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

function parseHold(args: Arguments): HoldCommand {
  if (typeof args[0] !== "boolean") throw new BadArgument("the argument must be true or false");
  return { name: "hold", on: args[0] };
}

function parseSendMessage(args: Arguments): SendMessageCommand {
  return { name: "sendMessage", text: messageText(args[0]) };
}

function parseSendPagingMessage(args: Arguments): SendPagingMessageCommand {
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
