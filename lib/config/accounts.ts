// [[account]] of the configuration file: with a name a SIP user that the gateway itself is, else what is different for
// RTMP clients of an address. One row for each key.
// Role: wire

import { nullIfMalformed } from "../base/errors.ts";
import { builtInCodecs } from "../codecs/registry.ts";
import { onBusyPolicies } from "../live/publisher.ts";
import { type CallerFields, readExtraHeaders, readFromUser } from "../sip/message/extra_headers.ts";
import { findTransport, transportNames } from "../sip/message/transports.ts";
import { parseSipUri, type SipUri } from "../sip/message/uri.ts";
import type { Identity } from "../sip/ua/identity.ts";
import { type ParsedTable, parseTable } from "./config_table.ts";
import {
  converted,
  explained,
  oneOf,
  Problem,
  readEntry,
  required,
  setting,
  type Slice,
  sliceOf,
  token,
  truth,
  wholeNumber,
} from "./setting.ts";

/** What happens when a client connects to an address that another client uses. */
export type SameAddressPolicy = "replace" | "share" | "reject";

/** All policies, the default first. */
export const sameAddressPolicies: readonly SameAddressPolicy[] = ["replace", "share", "reject"];

const MAX_TEXT_LENGTH = 256;

/** Rules at most. */
export const MAX_ACCOUNT_RULES = 10_000;

/** Numbers are refused: 0123 without quotes is no number of TOML, and 123 may have been 0123. */
const text = converted(`a text in quotes, of ${MAX_TEXT_LENGTH} characters at most`, "", (value) => {
  const good = typeof value === "string" && value.length <= MAX_TEXT_LENGTH && !/\p{Cc}/u.test(value);
  return good && value !== "" ? value : undefined;
});

/** Keys that an entry may have without a name, and with one: exceptions for RTMP clients of the address. */
const ruleKeys = {
  "same-address": setting(
    converted(
      `one of ${sameAddressPolicies.join(", ")}`,
      "",
      (value) => sameAddressPolicies.find((policy) => policy === value),
    ),
    {
      at: "rule.sameAddress",
      default: undefined,
      absent: "`same-address`",
      help: "as the setting, for RTMP clients of the address; `*@domain` is everybody there",
    },
  ),
  "publish-calls": setting(truth(), {
    at: "rule.publishCalls",
    default: undefined,
    absent: "`publish-calls`",
    help: "as the setting, for RTMP clients of the address",
  }),
};

/** Keys that make a SIP user of the gateway; all but the address need a name. */
export const sipAccountKeys = {
  name: required(
    converted("1 to 64 letters, digits, dots, dashes or underscores: it is part of URLs", "", readName),
    {
      at: "name",
      absent: "none",
      help: "letters, digits, `.`, `_`, `-`; without it only `same-address` and `publish-calls`",
    },
  ),
  address: required(explained(readAddress), {
    at: "identity.aor",
    absent: "required",
    help: "SIP address, `user@domain`",
  }),
  "display-name": setting(text, {
    at: "identity.displayName",
    default: null,
    absent: "none",
    help: "display name of its calls",
  }),
  username: setting(text, {
    at: "identity.username",
    default: null,
    absent: "user of `address`",
    secret: true,
    help: "user for digest authentication",
  }),
  password: setting(text, {
    at: "identity.password",
    default: null,
    absent: "none",
    secret: true,
    help: "password for it; answered to its registrar, proxy and domain only, never logged",
  }),
  "md5-without-qop": setting(truth(), {
    at: "identity.md5WithoutQop",
    default: false,
    help: "answer MD5 challenges without qop (old servers; weak)",
  }),
  registrar: setting(explained(readServer), {
    at: "identity.registrar",
    default: undefined,
    absent: "domain of `address`",
    help: "where REGISTER goes: `sip:pbx.example.com`; calls go to the domain",
  }),
  proxy: setting(explained(readServer), {
    at: "identity.proxy",
    default: undefined,
    absent: "`outbound-proxy`",
    help: "where all its requests go first: a PBX that is not the domain",
  }),
  transport: setting(oneOf("", transportNames), {
    at: "identity.transport",
    default: undefined,
    absent: "by DNS, else `udp`",
    help: "`udp` or `tcp`, to servers whose URI has no `;transport=`",
  }),
  register: setting(truth(), {
    default: undefined,
    absent: "`true` with a password or registrar",
    help: "register, and stay registered",
  }),
  codecs: setting(explained(readCodecs), {
    at: "codecs",
    default: [] as readonly string[],
    absent: "by use",
    help: 'codec tokens of the RTMP side, best first: `["pcmu", "dtmf"]`',
  }),
  key: setting(token(), {
    at: "key",
    default: null,
    absent: "none",
    secret: true,
    help: "`?key=` asked of publishers and players, 16 characters at least",
  }),
  answer: setting(oneOf("", ["no", "auto", "on-publish"]), {
    at: "answer",
    default: "no",
    help: "incoming calls: reject (`no`), answer at once (`auto`), or when somebody publishes (`on-publish`)",
  }),
  waiting: setting(oneOf("", ["silence", "tone"]), {
    at: "waiting",
    default: "silence",
    help: "until somebody publishes, callers hear `silence` or a `tone`",
  }),
  "on-busy": setting(oneOf("", onBusyPolicies), {
    at: "onBusy",
    default: null,
    absent: "`on-busy`",
    help: "as the setting, for this account",
  }),
  "from-user": setting(explained(readCallerUser), {
    at: "fields.fromUser",
    default: undefined,
    absent: "user of `address`",
    secret: true,
    help: "user part of From of its calls: the number to show",
  }),
  headers: setting(explained(readHeaders), {
    default: undefined,
    absent: "none",
    secret: true,
    help: 'further headers of its INVITEs: `[account.headers]`, then `X-Tenant = "7"`',
  }),
  redirect: setting(truth(), {
    at: "redirect",
    default: undefined,
    absent: "`redirect`",
    help: "as the setting, for this account",
  }),
  "answer-timeout": setting(wholeNumber(1, 600, ""), {
    at: "answerTimeoutSeconds",
    default: 60,
    help: "seconds an outgoing call may ring",
  }),
  redial: setting(wholeNumber(0, 100, ""), {
    at: "redial.attempts",
    default: 0,
    help: "further attempts of a call that was not answered",
  }),
  "redial-delay": setting(wholeNumber(1, 300, ""), {
    at: "redial.firstDelaySeconds",
    default: 5,
    help: "seconds before the first of them, doubled each time",
  }),
  "max-duration": setting(wholeNumber(0, 604_800, ""), {
    at: "maxDurationSeconds",
    default: 0,
    help: "hang up after so many seconds; 0: off",
  }),
};

/** Every key of an `[[account]]`. */
export const accountKeys = { ...sipAccountKeys, ...ruleKeys };

type SipAccountKeys = typeof sipAccountKeys;

/** One `[[account]]` that has a `name`: the gateway itself is this SIP user. */
export interface SipAccount extends Slice<SipAccountKeys, ""> {
  /** Who it is and where its requests go. */
  readonly identity: Identity;
  readonly register: boolean;
  /** What is different about its INVITEs; absent: nothing. */
  readonly fields?: CallerFields;
  readonly redial: RedialPolicy;
}

/** How often and when a call is tried again; the delays double. */
export type RedialPolicy = Slice<SipAccountKeys, "redial">;

export interface AccountRule extends Slice<typeof ruleKeys, "rule"> {
  /** user@host, the host in lower case; the user `*` stands for everybody there. */
  readonly address: string;
}

/** One `[[account]]`: an exception, an account of the gateway's own, or both. */
interface AccountEntry {
  /** What is different for RTMP clients of the address; null: nothing. */
  readonly rule: AccountRule | null;
  /** The SIP user that the gateway itself is; null: the entry has no name. */
  readonly account: SipAccount | null;
}

type Entry = Readonly<Record<string, unknown>>;

/** Reads a list of tables; never throws. What was written into passwords and keys is never repeated. */
export function parseAccounts(
  value: unknown,
  accountRows: SipAccountKeys = sipAccountKeys,
): ParsedTable<AccountEntry> {
  const parsed = parseTable(value, {
    example:
      '[[account]], with address = "..." and what is different for it, or name = "..." to be that user',
    maxRules: MAX_ACCOUNT_RULES,
    keys: ["address", ...Object.keys(ruleKeys), ...namedKeys(accountRows)],
    readRule: (entry) => readAccountEntry(entry, accountRows),
  });
  if (parsed.type === "wrong") return parsed;
  const names = new Set<string>();
  for (const [index, { account }] of parsed.rules.entries()) {
    if (account === null) continue;
    if (names.has(account.name)) {
      const problem = `rule ${index + 1}: name "${account.name}" is taken already`;
      return { type: "wrong", problem, at: [index, "name"] };
    }
    names.add(account.name);
  }
  return parsed;
}

/** Keys that only an account with a name may have, and the name itself. */
export function namedKeys(accountRows: SipAccountKeys = sipAccountKeys): string[] {
  return Object.keys(accountRows).filter((key) => key !== "address");
}

function readAccountEntry(entry: Entry, accountRows: SipAccountKeys): AccountEntry | string {
  const named = entry.name !== undefined;
  const alone = named ? undefined : namedKeys(accountRows).find((key) => entry[key] !== undefined);
  if (alone !== undefined) return `it has ${alone}, which is for accounts with a name: it needs name = "..."`;
  const account = named ? readSipAccount(entry, accountRows) : null;
  if (typeof account === "string") return account;
  const rule = readRule(entry);
  if (typeof rule === "string") return rule;
  if (rule === null && account === null) return "it needs name, same-address or publish-calls";
  return { rule, account };
}

/** Reads one table that has a `name`; a text says what is wrong with it. */
export function readSipAccount(
  entry: Entry,
  accountRows: SipAccountKeys = sipAccountKeys,
): SipAccount | string {
  const values = readEntry(accountRows, entry);
  if (typeof values === "string") return values;
  const { headers, "from-user": fromUser } = values;
  const identity = sliceOf(accountRows, values, "identity");
  return {
    ...sliceOf(accountRows, values, ""),
    identity,
    register: values.register ?? (identity.password !== null || identity.registrar !== undefined),
    ...((headers !== undefined || fromUser !== undefined) && {
      fields: { headers: headers ?? [], ...sliceOf(accountRows, values, "fields") },
    }),
    redial: sliceOf(accountRows, values, "redial"),
  };
}

/** Null: nothing is different. */
function readRule(entry: Entry): AccountRule | null | string {
  const { address } = entry;
  if (typeof address !== "string" || !isAddress(address)) {
    return "address must be a SIP address like alice@example.com, or *@example.com";
  }
  const values = readEntry(ruleKeys, entry);
  if (typeof values === "string") return values;
  const rule = sliceOf(ruleKeys, values, "rule");
  return Object.keys(rule).length === 0 ? null : { address: normalized(address), ...rule };
}

function isAddress(written: string): boolean {
  return written.length <= MAX_TEXT_LENGTH && /^[^@\s<>"]+@[^@\s<>"]+$/.test(written);
}

/** User parts are compared with their case, hosts without (RFC 3261 19.1.4); a path never holds `sip:`. */
function normalized(written: string): string {
  const address = written.replace(/^sip:/i, "");
  const at = address.indexOf("@");
  return address.slice(0, at) + address.slice(at).toLowerCase();
}

/** The policy of an address (user@host): of the first rule that fits, else `policy`. */
export function sameAddressPolicyOf(
  config: { readonly policy: SameAddressPolicy; readonly accounts: readonly AccountRule[] },
  address: string,
): SameAddressPolicy {
  const fits = config.accounts.filter((rule) => isRuleFor(rule, address));
  return fits.find((rule) => rule.sameAddress !== undefined)?.sameAddress ?? config.policy;
}

/** Whether the calls of an address may be played by others: by the first rule that says so, else as for all. */
export function mayPublishCalls(
  config: {
    readonly publishCalls: boolean;
    readonly sameAddress: { readonly accounts: readonly AccountRule[] };
  },
  address: string,
): boolean {
  const fits = config.sameAddress.accounts.filter((rule) => isRuleFor(rule, address));
  return fits.find((rule) => rule.publishCalls !== undefined)?.publishCalls ?? config.publishCalls;
}

function isRuleFor(rule: AccountRule, address: string): boolean {
  const wanted = normalized(address);
  return rule.address === wanted || rule.address === `*${wanted.slice(wanted.indexOf("@"))}`;
}

function readName(name: unknown): string | undefined {
  const good = typeof name === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(name) && !/^\.+$/.test(name);
  return good ? name : undefined;
}

function readAddress(address: unknown): SipUri | Problem {
  const problem = new Problem("must be one SIP address like alice@example.com");
  if (typeof address !== "string" || address.length > MAX_TEXT_LENGTH) return problem;
  const uri = nullIfMalformed(() => parseSipUri(/^sips?:/i.test(address) ? address : `sip:${address}`));
  if (uri === null || uri.user === null || uri.user === "*") return problem;
  if (uri.scheme === "sips") return new Problem("must begin with sip: TLS is not spoken here");
  if (uri.password !== null) return new Problem("must be without a password, which has a line of its own");
  if (uri.params.size > 0 || uri.headers !== null) return new Problem("must be user@host and no more");
  return { ...uri, host: uri.host.toLowerCase() };
}

/** A registrar or proxy: a host, with or without port and transport. */
function readServer(value: unknown): SipUri | Problem {
  const problem = new Problem(
    "must be a server like sip:pbx.example.com or sip:192.0.2.1:5080;transport=tcp",
  );
  if (typeof value !== "string" || value.length > MAX_TEXT_LENGTH) return problem;
  const uri = nullIfMalformed(() => parseSipUri(/^sips?:/i.test(value) ? value : `sip:${value}`));
  if (uri === null || uri.user !== null || uri.headers !== null) return problem;
  if (uri.scheme === "sips") return new Problem("must begin with sip: TLS is not spoken here");
  const transport = uri.params.get("transport")?.toLowerCase();
  if (uri.params.has("transport") && findTransport(transport ?? "") === null) {
    return new Problem(`must have ${transportNames.join(" or ")} as its transport`);
  }
  return uri;
}

function readCodecs(value: unknown): readonly string[] | Problem {
  const known: readonly string[] = builtInCodecs.tokens.map(({ token }) => token);
  const written = typeof value === "string" ? value.split(/[\s,]+/).filter((name) => name !== "") : value;
  const names: unknown[] = Array.isArray(written) ? written : [];
  const tokens = names.map((name) => typeof name === "string" ? name.toLowerCase() : "");
  const good = tokens.length > 0 && tokens.every((token) => known.includes(token));
  return good ? tokens : new Problem(`must be a list of ${known.join(", ")}`);
}

function readCallerUser(value: unknown): string | Problem {
  return readFromUser(value) ?? new Problem("must be a number or name: what is before the @");
}

function readHeaders(value: unknown): CallerFields["headers"] | Problem {
  const headers = readExtraHeaders(value);
  return typeof headers === "string" ? new Problem(headers) : headers;
}
