// The SIP users that the gateway itself is, from the configuration file: every [[account]] that has a name.
// Role: wire

import { ConfigError, nullIfMalformed } from "../base/errors.ts";
import { builtInCodecs } from "../codecs/registry.ts";
import type { OnBusyPolicy } from "../live/publisher.ts";
import { type CallerFields, readExtraHeaders, readFromUser } from "../sip/message/extra_headers.ts";
import type { Identity } from "../sip/ua/identity.ts";
import { findTransport, type TransportName, transportNames } from "../sip/message/transports.ts";
import { parseSipUri, type SipUri } from "../sip/message/uri.ts";
import { parseToken } from "./setting_values.ts";

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

/** Tokens that `codecs` may name: those of invite() and accept(). */
export const ACCOUNT_CODECS: readonly string[] = builtInCodecs.tokens.map(({ token }) => token);

const MAX_TEXT_LENGTH = 256;

/** One key of `[[account]]`: how it is read, and what docs/configuration.md says of it. */
export interface AccountKey<T = unknown> {
  /** The value, also of an absent key (undefined). @throws ConfigError, without the value of a secret */
  read(value: unknown, key: string): T;
  /** What an absent key stands for. */
  readonly absent: string;
  readonly help: string;
  /** True when its value is never shown. */
  readonly secret: boolean;
}

function key<T>(read: AccountKey<T>["read"], absent: string, help: string): AccountKey<T> {
  return { read, absent, help, secret: false };
}

function secret<T>(read: AccountKey<T>["read"], absent: string, help: string): AccountKey<T> {
  return { read, absent, help, secret: true };
}

/** The keys of an account that has a name; one row each. */
export const ACCOUNT_KEYS = {
  name: key(
    readName,
    "none",
    "letters, digits, `.`, `_`, `-`; without it only `same-address` and `publish-calls`",
  ),
  address: key(readAddress, "required", "SIP address, `user@domain`"),
  "display-name": key(text, "none", "display name of its calls"),
  username: secret(text, "user of `address`", "user for digest authentication"),
  password: secret(
    text,
    "none",
    "password for it; answered to its registrar, proxy and domain only, never logged",
  ),
  "md5-without-qop": key(truth(false), "`false`", "answer MD5 challenges without qop (old servers; weak)"),
  registrar: key(
    readServer,
    "domain of `address`",
    "where REGISTER goes: `sip:pbx.example.com`; calls go to the domain",
  ),
  proxy: key(readServer, "`outbound-proxy`", "where all its requests go first: a PBX that is not the domain"),
  transport: key(
    readTransport,
    "by DNS, else `udp`",
    "`udp` or `tcp`, to servers whose URI has no `;transport=`",
  ),
  register: key(maybeTruth, "with a password or registrar", "`true` or `false`"),
  codecs: key(readCodecs, "by use", 'codec tokens of the RTMP side, best first: `["pcmu", "dtmf"]`'),
  key: secret(readKey, "none", "`?key=` asked of publishers and players, 16 characters at least"),
  answer: key(
    choice(["no", "auto", "on-publish"]),
    "`no`",
    "incoming calls: reject (`no`), answer at once (`auto`), or when somebody publishes (`on-publish`)",
  ),
  waiting: key(
    choice(["silence", "tone"]),
    "`silence`",
    "until somebody publishes, callers hear `silence` or a `tone`",
  ),
  "on-busy": key(
    maybeChoice<OnBusyPolicy>(["replace", "reject"]),
    "`on-busy`",
    "as the setting, for this account",
  ),
  "from-user": secret(
    readCallerUser,
    "user of `address`",
    "user part of From of its calls: the number to show",
  ),
  headers: secret(
    readHeaders,
    "none",
    'further headers of its INVITEs: `[account.headers]`, then `X-Tenant = "7"`',
  ),
  redirect: key(maybeTruth, "`redirect`", "as the setting, for this account"),
  "answer-timeout": key(whole(1, 600, 60), "60", "seconds an outgoing call may ring"),
  redial: key(whole(0, 100, 0), "0", "further attempts of a call that was not answered"),
  "redial-delay": key(whole(1, 300, 5), "5", "seconds before the first of them, doubled each time"),
  "max-duration": key(whole(0, 604_800, 0), "0", "hang up after so many seconds; 0: off"),
} satisfies Readonly<Record<string, AccountKey>>;

type AccountValues = {
  readonly [Key in keyof typeof ACCOUNT_KEYS]: ReturnType<typeof ACCOUNT_KEYS[Key]["read"]>;
};

/** Keys that only an account with a name may have, and the name itself. */
export const SIP_ACCOUNT_KEYS: readonly string[] = Object.keys(ACCOUNT_KEYS).filter((name) =>
  name !== "address"
);

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
 * What was written into a secret is never repeated in a complaint, nor is the text of an address.
 */
export function readSipAccount(entry: Entry): SipAccount | string {
  try {
    return accountOf(readKeys(entry));
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

function readKeys(entry: Entry): AccountValues {
  const values: Record<string, unknown> = {};
  for (const [name, { read }] of Object.entries(ACCOUNT_KEYS)) values[name] = read(entry[name], name);
  return values as AccountValues;
}

function accountOf(values: AccountValues): SipAccount {
  const { registrar, password, redirect } = values;
  return {
    name: values.name,
    identity: identityOf(values),
    register: values.register ?? (password !== null || registrar !== undefined),
    codecs: values.codecs,
    key: values.key,
    answer: values.answer,
    waiting: values.waiting,
    onBusy: values["on-busy"],
    ...fieldsOf(values),
    ...(redirect !== null && { redirect }),
    answerTimeoutSeconds: values["answer-timeout"],
    redial: { attempts: values.redial, firstDelaySeconds: values["redial-delay"] },
    maxDurationSeconds: values["max-duration"],
  };
}

function identityOf(values: AccountValues): Identity {
  const { registrar, proxy, transport } = values;
  return {
    aor: values.address,
    displayName: values["display-name"],
    username: values.username,
    password: values.password,
    md5WithoutQop: values["md5-without-qop"],
    ...(registrar !== undefined && { registrar }),
    ...(proxy !== undefined && { proxy }),
    ...(transport !== undefined && { transport }),
  };
}

function fieldsOf({ headers, "from-user": fromUser }: AccountValues): Pick<SipAccount, "fields"> {
  if (headers === null && fromUser === null) return {};
  return { fields: { headers: headers ?? [], ...(fromUser !== null && { fromUser }) } };
}

function readName(name: unknown): string {
  if (typeof name === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(name) && !/^\.+$/.test(name)) return name;
  throw new ConfigError(
    "name must be 1 to 64 letters, digits, dots, dashes or underscores: it is part of URLs",
  );
}

function readHeaders(table: unknown): CallerFields["headers"] | null {
  if (table === undefined) return null;
  const headers = readExtraHeaders(table);
  if (typeof headers === "string") throw new ConfigError(`headers ${headers}`);
  return headers;
}

function readCallerUser(user: unknown): string | null {
  const fromUser = user === undefined ? null : readFromUser(user);
  if (fromUser !== null || user === undefined) return fromUser;
  throw new ConfigError("from-user must be a number or name: what is before the @");
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
function readServer(value: unknown, key: string): SipUri | undefined {
  if (value === undefined) return undefined;
  const problem = `${key} must be a server like sip:pbx.example.com or sip:192.0.2.1:5080;transport=tcp`;
  if (typeof value !== "string" || value.length > MAX_TEXT_LENGTH) throw new ConfigError(problem);
  const uri = parsed(/^sips?:/i.test(value) ? value : `sip:${value}`);
  if (uri === null || uri.user !== null || uri.headers !== null) throw new ConfigError(problem);
  if (uri.scheme === "sips") throw new ConfigError(`${key} must begin with sip: TLS is not spoken here`);
  const transport = uri.params.get("transport")?.toLowerCase();
  if (uri.params.has("transport") && findTransport(transport ?? "") === null) {
    throw new ConfigError(`${key} must have ${transportNames.join(" or ")} as its transport`);
  }
  return uri;
}

function readTransport(value: unknown): TransportName | undefined {
  const found = transportNames.find((name) => name === value);
  if (value === undefined || found !== undefined) return found;
  throw new ConfigError(`transport must be ${transportNames.join(" or ")}`);
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
function text(value: unknown, key: string): string | null {
  if (value === undefined) return null;
  const good = typeof value === "string" && value.length <= MAX_TEXT_LENGTH && !/\p{Cc}/u.test(value);
  if (good && value !== "") return value;
  throw new ConfigError(`${key} must be a text in quotes, of ${MAX_TEXT_LENGTH} characters at most`);
}

function truth(absent: boolean): AccountKey<boolean>["read"] {
  return (value, key) => maybeTruth(value, key) ?? absent;
}

/** Null: the key is absent. */
function maybeTruth(value: unknown, key: string): boolean | null {
  if (value === undefined) return null;
  if (typeof value === "boolean") return value;
  throw new ConfigError(`${key} must be true or false`);
}

/** The first choice is that of an absent key. */
function choice<const Name extends string>(names: readonly [Name, ...Name[]]): AccountKey<Name>["read"] {
  const read = maybeChoice(names);
  return (value, key) => read(value, key) ?? names[0];
}

/** Null: the key is absent. */
function maybeChoice<const Name extends string>(names: readonly Name[]): AccountKey<Name | null>["read"] {
  return (value, key) => {
    if (value === undefined) return null;
    const name = names.find((known) => known === value);
    if (name !== undefined) return name;
    throw new ConfigError(`${key} must be ${names.slice(0, -1).join(", ")} or ${names.at(-1)}`);
  };
}

function whole(min: number, max: number, absent: number): AccountKey<number>["read"] {
  return (value = absent, key) => {
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    throw new ConfigError(`${key} must be a whole number from ${min} to ${max}`);
  };
}

function parsed(uri: string): SipUri | null {
  return nullIfMalformed(() => parseSipUri(uri));
}
