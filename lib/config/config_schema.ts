// What each setting accepts, in words for the person who wrote something else: one zod schema.
// Answers to: the option types of optparse in siprtmp.py, and the checks it left to the first use.
// Role: wire

import { z } from "zod";
import { WireError } from "../base/errors.ts";
import { onBusyPolicies } from "../live/publisher.ts";
import { type Endpoint, isIpAddress, isUnspecified, parseEndpoint } from "../net/endpoint.ts";
import { parseNetwork } from "../net/network.ts";
import { STUN_PORT } from "../net/stun.ts";
import { parseSipUri, type SipUri } from "../sip/message/uri.ts";
import { parseAccounts, sameAddressPolicies } from "./accounts.ts";
import {
  DEFAULT_SIP_PORT,
  MAX_WORKERS,
  type PartialSettings,
  type PortRange,
  settingDescriptions,
  type SettingName,
  type SipdConfig,
  tableSettings,
  type WorkerCount,
} from "./config_settings.ts";
import type { ParsedTable } from "./config_table.ts";
import { parseDialPlan } from "./dial_plan.ts";
import { parseDialMatcher, parseDomain, parseList, parseToken } from "./entrance_config.ts";
import { sourceRules } from "./media_config.ts";
import { nearest } from "./nearest.ts";

export interface SettingIssue {
  readonly key: string;
  /** What is wrong; reads well after the key's name. */
  readonly message: string;
  /** Where it is: the key, and in a table the number of the rule and the key of it. */
  readonly path: readonly (string | number)[];
}

/** Values checked: settings to use, or everything that is wrong with them. */
export type CheckedSettings =
  | { type: "ok"; settings: PartialSettings }
  | { type: "wrong"; issues: readonly SettingIssue[] };

/** Longest text a setting may have. */
const MAX_TEXT_LENGTH = 1024;

const schema = z.strictObject(
  {
    host: address(),
    port: wholeNumber(0, 65535),
    root: path("a folder"),
    "int-ip": address(),
    "ext-ip": converted("an IP address or auto", (value) => value === "auto" ? value : parseAddress(value))
      .refine((value) => !isUnspecified(value), "must be an address that others can reach"),
    "stun-server": converted("a STUN server like stun.example.com:3478", parseServer),
    "sip-port": wholeNumber(0, 65535),
    "rtp-ports": converted("a range of ports like 10000-20000", parsePortRange),
    "rtp-source": oneOf(...sourceRules),
    "media-timeout-initial": wholeNumber(0, 86400),
    "media-timeout": wholeNumber(0, 86400),
    sockets: oneOf("auto", "deno", "linux"),
    "outbound-proxy": converted("a SIP address like sip:proxy.example.com", parseProxy),
    expires: wholeNumber(30, 86400),
    "keep-alive": oneOf("crlf", "stun", "options", "off"),
    "keep-alive-period": wholeNumber(5, 3600),
    "same-address": oneOf(...sameAddressPolicies),
    "on-busy": oneOf(...onBusyPolicies),
    dtmf: oneOf("auto", "rtp", "info", "inband"),
    redirect: converted("true or false", parseTruth),
    "publish-calls": truth(),
    sipd: converted("true, false or an IP address like 127.0.0.1:5060", parseSipd),
    "max-connections": wholeNumber(1, 100000),
    "max-calls": wholeNumber(1, 100000),
    "max-lag": wholeNumber(0, 10000),
    "max-memory": wholeNumber(0, 1_000_000),
    "max-half-open": wholeNumber(1, 10000),
    "max-publish-rate": wholeNumber(0, 10_000_000),
    workers: converted(`a whole number from 1 to ${MAX_WORKERS}, or auto`, parseWorkers),
    "rtmps-port": wholeNumber(0, 65535),
    "tls-cert": path("a file"),
    "tls-key": path("a file"),
    "rtmpt-port": wholeNumber(0, 65535),
    "rtmpts-port": wholeNumber(0, 65535),
    "rtmp-users": path("a file"),
    "rtmp-token": secret("16 to 256 letters, digits and signs, without spaces and & = # % + ?", parseToken),
    "allowed-domains": converted(
      "SIP domains like example.com or *.example.com",
      (value) => parseList(value, parseDomain),
    ),
    "allowed-dials": converted(
      "patterns as in the dial plan",
      (value) => parseList(value, parseDialMatcher),
    ),
    "allowed-targets": converted(
      "addresses and networks like 192.168.0.0/16",
      (value) => parseList(value, parseNetwork),
    ),
    "max-connections-per-address": wholeNumber(0, 100000),
    "max-failed-logins": wholeNumber(0, 100000),
    "max-calls-per-address": wholeNumber(0, 100000),
    "rtmp-idle": wholeNumber(2, 86400),
    "rtmp-ping": wholeNumber(1, 43200),
    verbose: truth(),
    "verbose-all": truth(),
    dial: table(parseDialPlan),
    account: table(parseAccounts),
  } satisfies Record<SettingName, z.ZodType>,
).partial();

/** Checks the values of one source; an unknown name is an issue too, with the nearest name suggested. */
export function checkSettings(values: Readonly<Record<string, unknown>>): CheckedSettings {
  const result = schema.safeParse(values);
  if (result.success) return { type: "ok", settings: onlyPresent(result.data) };
  const issues = result.error.issues.flatMap((issue): SettingIssue[] =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map(unknownKey)
      : [{ key: String(issue.path[0] ?? ""), message: issue.message, path: issue.path.map(stepOf) }]
  );
  return { type: "wrong", issues: firstOfEachKey(issues) };
}

/** Turns the text of a command line into a number where the setting wants one; other text stays as it is. */
export function readOptionValue(name: SettingName, value: string | boolean): string | number | boolean {
  const description = settingDescriptions.find((row) => row.name === name);
  return description?.whole && typeof value === "string" && /^-?\d{1,15}$/.test(value)
    ? Number(value)
    : value;
}

function unknownKey(key: string): SettingIssue {
  const suggestion = nearest(key, [...settingDescriptions.map((row) => row.name), ...tableSettings]);
  const hint = suggestion === null ? "" : `; did you mean ${suggestion}?`;
  return { key, message: `is not a setting${hint}`, path: [key] };
}

function stepOf(step: PropertyKey): string | number {
  return typeof step === "number" ? step : String(step);
}

function firstOfEachKey(issues: readonly SettingIssue[]): SettingIssue[] {
  return issues.filter((issue, index) => issues.findIndex((other) => other.key === issue.key) === index);
}

function onlyPresent(settings: z.output<typeof schema>): PartialSettings {
  const present = Object.entries(settings).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as PartialSettings;
}

function wholeNumber(min: number, max: number): z.ZodType<number> {
  return converted(
    `a whole number from ${min} to ${max}`,
    (value) =>
      Number.isInteger(value) && Number(value) >= min && Number(value) <= max ? Number(value) : undefined,
  );
}

function address(): z.ZodType<string> {
  return converted("an IP address", parseAddress);
}

function oneOf<Name extends string>(...names: readonly Name[]): z.ZodType<Name> {
  const wanted = `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
  return converted(wanted, (value) => names.find((name) => name === value));
}

/** A table of the file: its reader says what is wrong. */
function table<Rule>(parse: (value: unknown) => ParsedTable<Rule>): z.ZodType<readonly Rule[]> {
  return z.unknown().transform((value, context) => {
    const parsed = parse(value);
    if (parsed.type === "rules") return parsed.rules;
    context.addIssue({ code: "custom", message: parsed.problem, path: [...parsed.at] });
    return z.NEVER;
  });
}

function path(what: string): z.ZodType<string> {
  return converted(what, (value) => {
    const usable = typeof value === "string" && value !== "" && value.length <= MAX_TEXT_LENGTH;
    return usable && !value.includes("\0") ? value : undefined;
  });
}

function truth(): z.ZodType<boolean> {
  return converted("true or false", (value) => typeof value === "boolean" ? value : undefined);
}

/** A value as `convert` reads it; undefined from it means "not `wanted`". */
function converted<T>(wanted: string, convert: (value: unknown) => T | undefined): z.ZodType<T> {
  return z.unknown().transform((value, context) => {
    const result = convert(value);
    if (result !== undefined) return result;
    context.addIssue({ code: "custom", message: `must be ${wanted}, not ${shown(value)}` });
    return z.NEVER;
  });
}

/** As above, without showing what was written. */
function secret<T>(wanted: string, convert: (value: unknown) => T | undefined): z.ZodType<T> {
  return z.unknown().transform((value, context) => {
    const result = convert(value);
    if (result !== undefined) return result;
    context.addIssue({ code: "custom", message: `must be ${wanted}` });
    return z.NEVER;
  });
}

function shown(value: unknown): string {
  if (typeof value === "string") return `"${value.length > 60 ? `${value.slice(0, 60)}...` : value}"`;
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  return typeof value === "object" && value !== null ? "a table" : String(value);
}

function parseTruth(value: unknown): boolean | undefined {
  if (value === "true" || value === "false") return value === "true";
  return typeof value === "boolean" ? value : undefined;
}

function parseAddress(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const bare = value.replace(/^\[(.*)\]$/s, "$1");
  if (bare === "localhost") return "127.0.0.1";
  return isIpAddress(bare) ? bare : undefined;
}

function parseWorkers(value: unknown): WorkerCount | undefined {
  if (value === "auto") return "auto";
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_WORKERS
    ? Number(value)
    : undefined;
}

function parsePortRange(value: unknown): PortRange | undefined {
  const match = typeof value === "string" ? /^(\d{1,5})\s*-\s*(\d{1,5})$/.exec(value.trim()) : null;
  if (match === null) return undefined;
  const [min, max] = [Number(match[1]), Number(match[2])];
  const firstEven = min + min % 2; // RTP takes the even port, RTCP the next one (RFC 3550 section 11)
  return min >= 1 && max <= 65535 && firstEven + 1 <= max ? { min, max } : undefined;
}

function parseProxy(value: unknown): SipUri | undefined {
  if (typeof value !== "string" || value.length > MAX_TEXT_LENGTH) return undefined;
  const uri = orUndefined(() => parseSipUri(/^sips?:/i.test(value) ? value : `sip:${value}`));
  return uri?.scheme === "sip" && uri.host !== "" ? uri : undefined;
}

/** A name is looked up when it is needed: servers move. */
function parseServer(value: unknown): Endpoint | undefined {
  if (typeof value !== "string" || value.length > MAX_TEXT_LENGTH) return undefined;
  const server = orUndefined(() => parseEndpoint(value, STUN_PORT));
  return server !== undefined && server.port > 0 ? server : undefined;
}

/** An address alone leaves the port to us: 5060, or the next free one. */
function parseSipd(value: unknown): SipdConfig | null | undefined {
  if (value === false) return null;
  const text = value === true ? "127.0.0.1" : value;
  if (typeof text !== "string") return undefined;
  const hostname = parseAddress(text);
  if (hostname !== undefined) return { listen: { hostname, port: DEFAULT_SIP_PORT }, portFallback: true };
  const literal = text.replace(/^localhost:/, "127.0.0.1:");
  const listen = orUndefined(() => parseEndpoint(literal, DEFAULT_SIP_PORT));
  return listen !== undefined && isIpAddress(listen.hostname) ? { listen, portFallback: false } : undefined;
}

function orUndefined<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
