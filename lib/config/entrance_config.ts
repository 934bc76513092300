// The settings of who comes in and how: ports besides the plain one, the certificate, users, limits.
// Answers to: FAQ question 17 (RTMPS) and defect 15 (nobody was asked who they are) of siprtmp.
// Role: wire

import type { DialMatcher } from "../gateway/access/dial_rules.ts";
import { loopbackPlaces, type TargetPolicyOptions } from "../gateway/access/target_policy.ts";
import { ConfigError } from "../base/errors.ts";
import { type Endpoint, isIpAddress } from "../net/endpoint.ts";
import type { Network } from "../net/network.ts";
import { parseDialPattern } from "./dial_pattern.ts";

export interface EntranceSettings {
  /** Port for RTMP over TLS; null: none. */
  "rtmps-port": number | null;
  /** PEM file of the certificate chain. */
  "tls-cert": string | null;
  /** PEM file of its private key. */
  "tls-key": string | null;
  /** Port for RTMP in HTTP requests; null: none. */
  "rtmpt-port": number | null;
  /** Port for the same over TLS; null: none. */
  "rtmpts-port": number | null;
  /** File of users and password hashes; null: nobody has to log in. */
  "rtmp-users": string | null;
  /** What a client may show instead of a password; null: none. */
  "rtmp-token": string | null;
  /** SIP domains that may be used, lower case; null: any. */
  "allowed-domains": readonly string[] | null;
  /** What may be dialled; null: anything. */
  "allowed-dials": readonly DialMatcher[] | null;
  /** Addresses that may be called although they are usually not. */
  "allowed-targets": readonly Network[];
  /** Connections of one address at a time; 0: any number. */
  "max-connections-per-address": number;
  /** Failed logins of one address in ten minutes; 0: any number. */
  "max-failed-logins": number;
  /** Calls of one address begun in a minute; 0: any number. */
  "max-calls-per-address": number;
}

/** Nothing but the plain port, and everybody may. */
export const defaultEntrance: Readonly<EntranceSettings> = {
  "rtmps-port": null,
  "tls-cert": null,
  "tls-key": null,
  "rtmpt-port": null,
  "rtmpts-port": null,
  "rtmp-users": null,
  "rtmp-token": null,
  "allowed-domains": null,
  "allowed-dials": null,
  "allowed-targets": [],
  "max-connections-per-address": 100,
  "max-failed-logins": 10,
  "max-calls-per-address": 120,
};

export interface EntranceConfig {
  /** RTMP over TLS, plain or in HTTP requests; null: none. */
  readonly tls: TlsConfig | null;
  /** RTMP in HTTP requests; null: none. */
  readonly tunnel: Endpoint | null;
  /** File of users and password hashes; null: nobody has to log in. */
  readonly usersFile: string | null;
  /** What a client may show instead of a password; null: none. */
  readonly token: string | null;
  /** SIP domains that may be used; null: any. */
  readonly domains: readonly string[] | null;
  /** What may be dialled; null: anything. */
  readonly dials: readonly DialMatcher[] | null;
  /** Where may be sent to although it usually may not. */
  readonly targets: TargetPolicyOptions;
  /** Connections of one address at a time; 0: any number. */
  readonly connectionsPerAddress: number;
  /** Failed logins of one address in ten minutes; 0: any number. */
  readonly failedLogins: number;
  /** Calls of one address begun in a minute; 0: any number. */
  readonly callsPerAddress: number;
}

/** The TLS ports, at least one, and their certificate. */
export interface TlsConfig {
  /** Where RTMPS clients connect; port 0 takes any free one; null: nowhere. */
  readonly listen: Endpoint | null;
  /** Where RTMPTS clients do, in HTTPS requests. */
  readonly tunnel: Endpoint | null;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Most entries of a list, longest text of one. */
const MAX_ENTRIES = 1_000;
const MAX_TEXT_LENGTH = 1_024;

/** Puts the settings together. @throws ConfigError for what is wrong only in combination */
export function entranceOf(
  settings: EntranceSettings & { host: string; port: number; sipd?: { listen: Endpoint } | null },
): EntranceConfig {
  checkPorts(settings);
  const { host, sipd = null, "rtmpt-port": tunnelPort } = settings;
  return {
    tls: tlsOf(settings, host),
    tunnel: tunnelPort === null ? null : { hostname: host, port: tunnelPort },
    usersFile: settings["rtmp-users"],
    token: settings["rtmp-token"],
    domains: settings["allowed-domains"],
    dials: settings["allowed-dials"],
    targets: {
      allowed: settings["allowed-targets"],
      open: sipd === null ? [] : [sipd.listen, ...loopbackPlaces(sipd.listen.port)],
    },
    connectionsPerAddress: settings["max-connections-per-address"],
    failedLogins: settings["max-failed-logins"],
    callsPerAddress: settings["max-calls-per-address"],
  };
}

function tlsOf(settings: EntranceSettings, hostname: string): TlsConfig | null {
  const { "rtmps-port": port, "rtmpts-port": tunnelPort } = settings;
  const { "tls-cert": certificateFile, "tls-key": keyFile } = settings;
  if (port === null && tunnelPort === null) {
    if (certificateFile === null && keyFile === null) return null;
    throw new ConfigError("tls-cert and tls-key are for rtmps-port and rtmpts-port, which are not set");
  }
  if (certificateFile === null || keyFile === null) {
    const name = port === null ? "rtmpts-port" : "rtmps-port";
    throw new ConfigError(`${name} needs a certificate: set tls-cert and tls-key`);
  }
  return {
    listen: port === null ? null : { hostname, port },
    tunnel: tunnelPort === null ? null : { hostname, port: tunnelPort },
    certificateFile,
    keyFile,
  };
}

function checkPorts(settings: EntranceSettings & { port: number }): void {
  const names = ["port", "rtmps-port", "rtmpt-port", "rtmpts-port"] as const;
  for (const [index, name] of names.entries()) {
    const same = names.slice(0, index).find((other) => settings[other] === settings[name]);
    if (same !== undefined && settings[name] !== null && settings[name] !== 0) {
      throw new ConfigError(`${same} and ${name} cannot both be ${settings[name]}`);
    }
  }
}

/** A list: several texts in the file, one with commas or spaces between on the command line. Undefined: not one. */
export function parseList<T>(value: unknown, parse: (text: string) => T | undefined): T[] | undefined {
  const parts: unknown[] = typeof value === "string"
    ? value.split(/[\s,]+/).filter((part) => part !== "")
    : Array.isArray(value)
    ? value
    : [];
  if (parts.length === 0 || parts.length > MAX_ENTRIES) return undefined;
  const parsed = parts.map((part) =>
    typeof part === "string" && part.length <= MAX_TEXT_LENGTH ? parse(part) : undefined
  );
  const good = parsed.filter((part) => part !== undefined);
  return good.length === parts.length ? good : undefined;
}

/** "example.com", "*.example.com" or an IP address, in lower case; undefined: something else. */
export function parseDomain(text: string): string | undefined {
  const name = text.toLowerCase().replace(/^\[(.*)\]$/s, "$1").replace(/\.$/, "");
  if (isIpAddress(name)) return name;
  return /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/.test(name)
    ? name
    : undefined;
}

/** A pattern as in the dial plan; undefined: not one. */
export function parseDialMatcher(text: string): DialMatcher | undefined {
  const parsed = parseDialPattern(text);
  return parsed.type === "pattern" ? parsed.pattern : undefined;
}

/** A token: printable ASCII without spaces and URL separators, long enough not to be guessed. */
export function parseToken(value: unknown): string | undefined {
  return typeof value === "string" && /^[\x21-\x7e]{16,256}$/.test(value) && !/[&=#%+?]/.test(value)
    ? value
    : undefined;
}
