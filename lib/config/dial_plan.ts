// The dial plan: where the numbers go that clients dial. The first rule that fits says it; without one a bare number,
// or a tel: URI, is dialled in the domain of the client's own address.
// Role: wire

import { WireError } from "../base/errors.ts";
import { ALPHANUMERIC, characterSet } from "../sip/message/grammar.ts";
import { type NameAddr, parseDestination } from "../sip/message/name_addr.ts";
import { escapeUri, formatHostPort, schemeOf, type SipUri } from "../sip/message/uri.ts";
import { type ParsedTable, parseTable } from "./config_table.ts";
import { explained, Problem, readEntry, required, type Slice } from "./setting.ts";
import { type DialPattern, parseDialPattern } from "./dial_pattern.ts";

/** Rules of a plan at most. */
export const MAX_DIAL_RULES = 1000;
const MAX_TARGET_LENGTH = 512;

/** The keys of a `[[dial]]`. */
export const dialKeys = {
  pattern: required(explained(readPattern), {
    at: "pattern",
    absent: "required",
    help: "pattern of the dialled number, or with an `@` of user@host",
  }),
  target: required(explained(readTarget), {
    at: "target",
    absent: "required",
    help:
      "number or URI called instead; `$1` to `$9`: groups of the pattern, `$0`: all of it, `$$`: a dollar",
  }),
};

type DialRule = Slice<typeof dialKeys, "">;

/** The rules in their order. */
export type DialPlan = readonly DialRule[];

/** Characters of a dialled text that can mean nothing else inside a URI. */
const PLAIN = characterSet(`${ALPHANUMERIC}-_.!~*'()+`);

/**
 * Reads the rules of a configuration: a list of tables with `pattern` and `target`; never throws.
 *
 *   [[dial]]
 *   pattern = "0049(.*)"                         compared with the number: 0049301234
 *   target = "sip:+49$1@trunk.example"           becomes sip:+49301234@trunk.example
 *
 * A number is what is dialled without host or in the account's own domain, without the signs people put between
 * digits. A pattern with @ is compared with user@host of everything dialled. A target without host is in the
 * account's domain. Rules are not applied to what rules have made.
 */
export function parseDialPlan(value: unknown): ParsedTable<DialRule> {
  return parseTable(value, {
    example: '[[dial]], with pattern = "..." and target = "..."',
    maxRules: MAX_DIAL_RULES,
    keys: Object.keys(dialKeys),
    readRule,
  });
}

function readRule(entry: Readonly<Record<string, unknown>>): DialRule | string {
  const rule = readEntry(dialKeys, entry);
  if (typeof rule === "string") return rule;
  const problem = targetProblem(rule.target, rule.pattern.groups);
  return problem === null ? rule : `target "${rule.target}" ${problem}`;
}

function readPattern(value: unknown): DialPattern | Problem {
  if (typeof value !== "string") return new Problem("must be a text");
  const parsed = parseDialPattern(value);
  return parsed.type === "wrong" ? new Problem(`"${value}" ${parsed.problem}`) : parsed.pattern;
}

function readTarget(value: unknown): string | Problem {
  const usable = typeof value === "string" && value.length <= MAX_TARGET_LENGTH;
  return usable ? value : new Problem("must be a text");
}

/** Tried with a digit in place of each group: what cannot be dialled then never can. */
function targetProblem(target: string, groups: number): string | null {
  for (const [, sign = ""] of target.matchAll(/\$(.?)/g)) {
    if (sign !== "$" && !/^\d$/.test(sign)) return "has $ without a digit; write $$ for the character";
    if (/^\d$/.test(sign) && Number(sign) > groups) {
      return `has $${sign}, but the pattern has ${groups} groups`;
    }
  }
  try {
    called(target, new Array<string>(groups + 1).fill("1"), "example.com");
    return null;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return `cannot be called: ${error.message}`;
  }
}

/**
 * Whom to call for what a client dialled.
 * @param text as {@link parseDestination} takes it
 * @param domain host or host:port of the client's own address
 * @throws WireError when nothing callable can be made of it
 */
export function resolveDialled(plan: DialPlan, text: string, domain: string): NameAddr {
  const dialled = parseDestination(text, domain);
  const { user, scheme } = dialled.uri;
  if (user === null || scheme !== "sip") return dialled; // sips: asks for a security that a rule must not take away
  const isLocal = inDomain(dialled.uri, domain);
  const full = `${user}@${dialled.uri.host.toLowerCase()}`;
  for (const { pattern, target } of plan) {
    if (!pattern.wantsHost && !isLocal) continue;
    const groups = pattern.match(pattern.wantsHost ? full : user);
    if (groups === null) continue;
    const { uri, displayName } = called(target, groups, domain);
    return { displayName: displayName ?? dialled.displayName, uri, params: new Map() };
  }
  return dialled;
}

function inDomain(uri: SipUri, domain: string): boolean {
  const own = domainUri(domain);
  return uri.host.toLowerCase() === own.host.toLowerCase() && uri.port === own.port;
}

function domainUri(domain: string): SipUri {
  return parseDestination("x", domain).uri;
}

/** What was dialled is put in escaped: it can be part of a name, never of the URI's structure. */
function called(target: string, groups: readonly string[], domain: string): NameAddr {
  const text = target.replace(
    /\$(.)/g,
    (_, sign: string) => sign === "$" ? "$" : escapeUri(groups[Number(sign)] ?? "", PLAIN),
  );
  if (/^(sips?|tel):/i.test(text) || text.includes("<")) return parseDestination(text, domain);
  if (schemeOf(text) !== null) throw new WireError("dial plan", "only sip:, sips: and tel: can be called");
  if (text === "") throw new WireError("dial plan", "nobody is named");
  if (text.includes("@")) return parseDestination(`sip:${text}`, domain);
  const { host, port } = domainUri(domain);
  return parseDestination(`sip:${text}@${formatHostPort(host, port)}`, domain);
}
