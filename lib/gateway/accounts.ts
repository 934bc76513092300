// Exceptions for some SIP addresses, from the configuration file.
//
//   [[account]]
//   address = "alice@example.com"      or "*@example.com"
//   same-address = "share"             replace, share or reject
//
// Role: wire
// Answers to: FAQ question 18 of siprtmp: several clients on one SIP address took a change of its code.

import { type ParsedTable, parseTable } from "./config_table.ts";

/** What happens when a client connects to an address that another client uses. */
export type SameAddressPolicy = "replace" | "share" | "reject";

/** All policies, the default first. */
export const sameAddressPolicies: readonly SameAddressPolicy[] = ["replace", "share", "reject"];

/** An exception. */
export interface AccountRule {
  /** user@host, the host in lower case; the user `*` stands for everybody there. */
  readonly address: string;
  /** For these addresses. */
  readonly sameAddress: SameAddressPolicy;
}

/** Rules at most. */
export const MAX_ACCOUNT_RULES = 10_000;
const MAX_ADDRESS_LENGTH = 256;

/** Reads a list of tables with `address` and `same-address`; never throws. */
export function parseAccounts(value: unknown): ParsedTable<AccountRule> {
  return parseTable(value, {
    example: '[[account]], with address = "..." and same-address = "..."',
    maxRules: MAX_ACCOUNT_RULES,
    keys: ["address", "same-address"],
    readRule,
  });
}

function readRule(entry: Readonly<Record<string, unknown>>): AccountRule | string {
  const { address, "same-address": written } = entry;
  if (typeof address !== "string" || !isAddress(address)) {
    return "address must be a SIP address like alice@example.com, or *@example.com";
  }
  const sameAddress = sameAddressPolicies.find((policy) => policy === written);
  if (sameAddress === undefined) return `same-address must be one of ${sameAddressPolicies.join(", ")}`;
  return { address: normalized(address), sameAddress };
}

function isAddress(text: string): boolean {
  return text.length <= MAX_ADDRESS_LENGTH && /^[^@\s<>"]+@[^@\s<>"]+$/.test(text);
}

/** User parts are compared with their case, hosts without (RFC 3261 19.1.4). */
function normalized(address: string): string {
  const at = address.indexOf("@");
  return address.slice(0, at) + address.slice(at).toLowerCase();
}

/** The policy of an address (user@host): of the first rule that fits, else `policy`. */
export function sameAddressPolicyOf(
  config: { readonly policy: SameAddressPolicy; readonly accounts: readonly AccountRule[] },
  address: string,
): SameAddressPolicy {
  const wanted = normalized(address);
  const everybody = `*${wanted.slice(wanted.indexOf("@"))}`;
  const rule = config.accounts.find((one) => one.address === wanted || one.address === everybody);
  return rule?.sameAddress ?? config.policy;
}
