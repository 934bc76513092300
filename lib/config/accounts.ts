// SIP addresses in the configuration file: exceptions for some, and with a name the SIP users the gateway itself is
// (sip_account.ts).
// Role: wire

import { type ParsedTable, parseTable } from "./config_table.ts";
import { readSipAccount, SIP_ACCOUNT_KEYS, type SipAccount } from "./sip_account.ts";

/** What happens when a client connects to an address that another client uses. */
export type SameAddressPolicy = "replace" | "share" | "reject";

/** All policies, the default first. */
export const sameAddressPolicies: readonly SameAddressPolicy[] = ["replace", "share", "reject"];

export interface AccountRule {
  /** user@host, the host in lower case; the user `*` stands for everybody there. */
  readonly address: string;
  /** For these addresses; absent: as for all. */
  readonly sameAddress?: SameAddressPolicy;
  /** Whether others may play both sides of their calls; absent: as for all. */
  readonly publishCalls?: boolean;
}

/** One `[[account]]`: an exception, an account of the gateway's own, or both. */
export interface AccountEntry {
  /** What is different for RTMP clients of the address; null: nothing. */
  readonly rule: AccountRule | null;
  /** The SIP user that the gateway itself is; null: the entry has no name. */
  readonly account: SipAccount | null;
}

/** Rules at most. */
export const MAX_ACCOUNT_RULES = 10_000;
const MAX_ADDRESS_LENGTH = 256;

/**
 * Reads a list of tables; never throws.
 *
 *   [[account]]
 *   address = "alice@example.com"      or "*@example.com"
 *   same-address = "share"             replace, share or reject
 *   publish-calls = true               others may play both sides of its calls
 *
 * Answers to: FAQ question 18 of siprtmp: several clients on one SIP address took a change of its code.
 */
export function parseAccounts(value: unknown): ParsedTable<AccountEntry> {
  const parsed = parseTable(value, {
    example:
      '[[account]], with address = "..." and what is different for it, or name = "..." to be that user',
    maxRules: MAX_ACCOUNT_RULES,
    keys: ["address", "same-address", "publish-calls", ...SIP_ACCOUNT_KEYS],
    readRule: readEntry,
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

function readEntry(entry: Readonly<Record<string, unknown>>): AccountEntry | string {
  const named = entry.name !== undefined;
  const alone = named ? undefined : SIP_ACCOUNT_KEYS.find((key) => entry[key] !== undefined);
  if (alone !== undefined) return `it has ${alone}, which is for accounts with a name: it needs name = "..."`;
  const account = named ? readSipAccount(entry) : null;
  if (typeof account === "string") return account;
  const rule = readRule(entry);
  if (typeof rule === "string") return rule;
  if (rule === null && account === null) return "it needs name, same-address or publish-calls";
  return { rule, account };
}

/** Null: nothing is different. */
function readRule(entry: Readonly<Record<string, unknown>>): AccountRule | null | string {
  const { address, "same-address": policy, "publish-calls": publish } = entry;
  if (typeof address !== "string" || !isAddress(address)) {
    return "address must be a SIP address like alice@example.com, or *@example.com";
  }
  const sameAddress = sameAddressPolicies.find((known) => known === policy);
  if (policy !== undefined && sameAddress === undefined) {
    return `same-address must be one of ${sameAddressPolicies.join(", ")}`;
  }
  if (publish !== undefined && typeof publish !== "boolean") return "publish-calls must be true or false";
  if (sameAddress === undefined && publish === undefined) return null;
  return {
    address: normalized(address),
    ...(sameAddress !== undefined && { sameAddress }),
    ...(publish !== undefined && { publishCalls: publish }),
  };
}

function isAddress(text: string): boolean {
  return text.length <= MAX_ADDRESS_LENGTH && /^[^@\s<>"]+@[^@\s<>"]+$/.test(text);
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
