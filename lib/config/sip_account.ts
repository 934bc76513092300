// The SIP users that the gateway itself is, from the configuration file: every [[account]] that has a name.
// Role: wire

import { ConfigError, nullIfMalformed } from "../base/errors.ts";
import type { OnBusyPolicy } from "../live/publisher.ts";
import { type CallerFields, readExtraHeaders, readFromUser } from "../sip/message/extra_headers.ts";
import type { Identity } from "../sip/ua/identity.ts";
import type { TransportName } from "../sip/message/target.ts";
import { parseSipUri, type SipUri } from "../sip/message/uri.ts";
import { parseToken } from "./entrance_config.ts";

/** One `[[account]]` that has a `name`: the gateway itself is this SIP user. */
export interface SipAccount {
  /** Unique; 1 to 64 letters, digits, `.`, `_` and `-`. The `<account>` of URLs. */
  readonly name: string;
  /** Who it is and where its requests go. */
  readonly identity: Identity;
  readonly register: boolean;
  /** Codec tokens of the RTMP side; empty: what the use it is put to takes by default. */
  readonly codecs: readonly string[];
  /** Asked of those who publish to it or play it; null: nobody is asked. */
  readonly key: string | null;
  /** What is done with calls that come in: refused, taken at once, or taken when somebody publishes. */
  readonly answer: "no" | "auto" | "on-publish";
  /** What a caller hears until somebody publishes to the line. */
  readonly waiting: "silence" | "tone";
  /** What happens to who publishes what another client publishes; null: as for all. */
  readonly onBusy: OnBusyPolicy | null;
  /** Outgoing: what is different about its INVITEs; absent: nothing. */
  readonly fields?: CallerFields;
  /** Outgoing: whether a 3xx is followed; absent: as for all. */
  readonly redirect?: boolean;
  /** Outgoing: ringing is given up after this time, in seconds. */
  readonly answerTimeoutSeconds: number;
  /** Outgoing: calls that were not answered are tried again. */
  readonly redial: RedialPolicy;
  /** A call is ended after this time, in seconds; 0: never. */
  readonly maxDurationSeconds: number;
}

/** How often and when a call is tried again; the delays double. */
export interface RedialPolicy {
  /** Further attempts; 0: none. */
  readonly attempts: number;
  /** Time before the first of them, in seconds. */
  readonly firstDelaySeconds: number;
}

/** Keys that only an account with a name may have, and the name itself. */
export const SIP_ACCOUNT_KEYS: readonly string[] = [
  "name",
  "display-name",
  "username",
  "password",
  "registrar",
  "proxy",
  "transport",
  "md5-without-qop",
  "register",
  "codecs",
  "key",
  "answer",
  "waiting",
  "on-busy",
  "from-user",
  "headers",
  "redirect",
  "answer-timeout",
  "redial",
  "redial-delay",
  "max-duration",
];

/** Tokens that `codecs` may name: those of invite() and accept(). */
export const ACCOUNT_CODECS: readonly string[] = [
  "wideband",
  "narrowband",
  "pcmu",
  "pcma",
  "ulaw",
  "alaw",
  "opus",
  "aac",
  "dtmf",
  "h264",
  "flv",
];

const MAX_TEXT_LENGTH = 256;

type Entry = Readonly<Record<string, unknown>>;

/**
 * Reads one table that has a `name`; a text says what is wrong with it.
 *
 *   [[account]]
 *   name = "desk"                       the <account> of URLs
 *   address = "desk@example.com"        its address of record
 *   password = "..."                    and, where they differ: username, registrar, proxy, transport
 *   key = "..."                         asked of RTMP programs that want to use it
 *   [account.headers]                   names and values of further headers of its INVITEs
 *
 * What was written into password and key is never repeated in a complaint, nor is the text of an address.
 * Answers to: nothing in siprtmp, where only RTMP clients were SIP users.
 */
export function readSipAccount(entry: Readonly<Record<string, unknown>>): SipAccount | string {
  try {
    const name = readName(entry.name);
    const identity = readIdentity(entry);
    return {
      name,
      identity,
      register: truth(entry, "register", identity.password !== null || identity.registrar !== undefined),
      codecs: readCodecs(entry.codecs),
      key: readKey(entry.key),
      answer: choice(entry, "answer", ["no", "auto", "on-publish"]),
      waiting: choice(entry, "waiting", ["silence", "tone"]),
      onBusy: entry["on-busy"] === undefined
        ? null
        : choice<OnBusyPolicy>(entry, "on-busy", ["replace", "reject"]),
      ...readFields(entry),
      ...(entry.redirect !== undefined && { redirect: truth(entry, "redirect", true) }),
      answerTimeoutSeconds: whole(entry, "answer-timeout", { min: 1, max: 600, absent: 60 }),
      redial: {
        attempts: whole(entry, "redial", { min: 0, max: 100, absent: 0 }),
        firstDelaySeconds: whole(entry, "redial-delay", { min: 1, max: 300, absent: 5 }),
      },
      maxDurationSeconds: whole(entry, "max-duration", { min: 0, max: 604_800, absent: 0 }),
    };
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

function readName(name: unknown): string {
  if (typeof name === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(name) && !/^\.+$/.test(name)) return name;
  throw new ConfigError(
    "name must be 1 to 64 letters, digits, dots, dashes or underscores: it is part of URLs",
  );
}

function readIdentity(entry: Entry): Identity {
  const registrar = readServer(entry, "registrar");
  const proxy = readServer(entry, "proxy");
  const transport = readTransport(entry.transport);
  return {
    aor: readAddress(entry.address),
    displayName: text(entry, "display-name"),
    username: text(entry, "username"),
    password: text(entry, "password"),
    md5WithoutQop: truth(entry, "md5-without-qop", false),
    ...(registrar !== undefined && { registrar }),
    ...(proxy !== undefined && { proxy }),
    ...(transport !== undefined && { transport }),
  };
}

function readFields(entry: Entry): Pick<SipAccount, "fields"> {
  const { headers: table, "from-user": user } = entry;
  if (table === undefined && user === undefined) return {};
  const headers = table === undefined ? [] : readExtraHeaders(table);
  if (typeof headers === "string") throw new ConfigError(`headers ${headers}`);
  const fromUser = user === undefined ? undefined : readFromUser(user);
  if (fromUser === null) throw new ConfigError("from-user must be a number or name: what is before the @");
  return { fields: { headers, ...(fromUser !== undefined && { fromUser }) } };
}

function readAddress(address: unknown): SipUri {
  const problem = "address must be one SIP address like alice@example.com";
  if (typeof address !== "string" || address.length > MAX_TEXT_LENGTH) throw new ConfigError(problem);
  const uri = parsed(/^sips?:/i.test(address) ? address : `sip:${address}`);
  if (uri === null || uri.user === null || uri.user === "*") throw new ConfigError(problem);
  if (uri.scheme === "sips") throw new ConfigError("address must begin with sip: TLS is not spoken here");
  if (uri.password !== null) {
    throw new ConfigError("address must be without a password, which has a line of its own");
  }
  if (uri.params.size > 0 || uri.headers !== null) {
    throw new ConfigError("address must be user@host and no more");
  }
  return { ...uri, host: uri.host.toLowerCase() };
}

/** A registrar or proxy: a host, with or without port and transport. */
function readServer(entry: Entry, key: "registrar" | "proxy"): SipUri | undefined {
  const value = entry[key];
  if (value === undefined) return undefined;
  const problem = `${key} must be a server like sip:pbx.example.com or sip:192.0.2.1:5080;transport=tcp`;
  if (typeof value !== "string" || value.length > MAX_TEXT_LENGTH) throw new ConfigError(problem);
  const uri = parsed(/^sips?:/i.test(value) ? value : `sip:${value}`);
  if (uri === null || uri.user !== null || uri.headers !== null) throw new ConfigError(problem);
  if (uri.scheme === "sips") throw new ConfigError(`${key} must begin with sip: TLS is not spoken here`);
  const transport = uri.params.get("transport")?.toLowerCase();
  if (uri.params.has("transport") && transport !== "udp" && transport !== "tcp") {
    throw new ConfigError(`${key} must have udp or tcp as its transport`);
  }
  return uri;
}

function readTransport(value: unknown): TransportName | undefined {
  if (value === undefined || value === "udp" || value === "tcp") return value;
  throw new ConfigError("transport must be udp or tcp");
}

function readCodecs(value: unknown): readonly string[] {
  if (value === undefined) return [];
  const names = typeof value === "string" ? value.split(/[\s,]+/).filter((name) => name !== "") : value;
  const known = `codecs must be a list of ${ACCOUNT_CODECS.join(", ")}`;
  if (!Array.isArray(names) || names.length === 0) throw new ConfigError(known);
  return names.map((name: unknown) => {
    const token = typeof name === "string" ? name.toLowerCase() : "";
    if (!ACCOUNT_CODECS.includes(token)) throw new ConfigError(known);
    return token;
  });
}

function readKey(value: unknown): string | null {
  if (value === undefined) return null;
  const key = parseToken(value);
  if (key !== undefined) return key;
  throw new ConfigError("key must be 16 to 256 letters, digits and signs, without spaces and & = # % + ?");
}

/** Numbers are refused: 0123 without quotes is no number of TOML, and 123 may have been 0123. */
function text(entry: Entry, key: string): string | null {
  const value = entry[key];
  if (value === undefined) return null;
  const good = typeof value === "string" && value.length <= MAX_TEXT_LENGTH && !/\p{Cc}/u.test(value);
  if (good && value !== "") return value;
  throw new ConfigError(`${key} must be a text in quotes, of ${MAX_TEXT_LENGTH} characters at most`);
}

function truth(entry: Entry, key: string, absent: boolean): boolean {
  const value = entry[key] ?? absent;
  if (typeof value === "boolean") return value;
  throw new ConfigError(`${key} must be true or false`);
}

/** The first choice is that of an absent key. */
function choice<Name extends string>(entry: Entry, key: string, names: readonly [Name, ...Name[]]): Name {
  const value = entry[key] ?? names[0];
  const name = names.find((known) => known === value);
  if (name !== undefined) return name;
  throw new ConfigError(`${key} must be ${names.slice(0, -1).join(", ")} or ${names.at(-1)}`);
}

function whole(entry: Entry, key: string, range: { min: number; max: number; absent: number }): number {
  const { min, max, absent } = range;
  const value = entry[key] ?? absent;
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new ConfigError(`${key} must be a whole number from ${min} to ${max}`);
}

function parsed(uri: string): SipUri | null {
  return nullIfMalformed(() => parseSipUri(uri));
}
