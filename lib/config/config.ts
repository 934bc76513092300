// The configuration: one frozen value, made by a pure function from defaults, file and flags (each beats the one
// before). No other module reads flags, files or the environment.
// Role: wire

import { ConfigError } from "../base/errors.ts";
import { loopbackPlaces } from "../gateway/access/target_policy.ts";
import { type Endpoint, isIpv6, isUnspecified } from "../net/endpoint.ts";
import { defaultRtmpOptions, type RtmpOptions } from "../rtmp/options.ts";
import type { AccountRule, SipAccount } from "./accounts.ts";
import { type ConfigFile, parseConfigFile } from "./config_file.ts";
import { checkSettings, readOptionValue, type Rows, type Slice, sliceOf } from "./setting.ts";
import { DEFAULT_SIP_PORT } from "./setting_values.ts";
import {
  type PartialSettings,
  type SettingName,
  type SettingRows,
  type Settings,
  settings as gatewayRows,
} from "./settings.ts";

/** The version of this program; the same as in deno.json. */
export const version = "0.1.0";

/** How much the log says: `-d` is debug, `-D` is trace. */
export type Verbosity = "normal" | "debug" | "trace";

/** What rows put at a place; what several rows make is added by hand. */
type At<Place extends string> = Slice<SettingRows, Place>;

/** Everything that can be set, checked and frozen. */
export interface Config extends At<""> {
  readonly rtmp: RtmpConfig;
  readonly entrance: EntranceConfig;
  readonly sip: SipConfig;
  readonly rtp: RtpConfig;
  readonly limit: LimitConfig;
  readonly sameAddress: SameAddressConfig;
  readonly accounts: readonly SipAccount[];
  readonly verbosity: Verbosity;
}

export interface RtmpConfig extends At<"rtmp"> {
  readonly listen: At<"rtmp.listen">;
  readonly options: RtmpOptions & At<"rtmp.options">;
}

/** Who comes in and how, besides the plain port. */
export interface EntranceConfig extends At<"entrance"> {
  /** RTMP over TLS, plain or in HTTP requests; null: none. */
  readonly tls: TlsConfig | null;
  /** RTMP in HTTP requests; null: none. */
  readonly tunnel: Endpoint | null;
  /** Where may be sent to although it usually may not. */
  readonly targets: At<"entrance.targets"> & { readonly open: readonly Endpoint[] };
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

/** Addresses that are bound and told to peers. */
interface OwnAddress {
  readonly bind: string;
  /** An IP literal; null: the local address of the route to each peer, or what the STUN server says. */
  readonly advertise: string | null;
}

export interface SipConfig extends At<"sip">, OwnAddress {
  /** UDP and TCP; 0 takes any free one. */
  readonly port: number;
  /** True when the next free port will do: nobody asked for this very one. */
  readonly portFallback: boolean;
  readonly keepAlive: At<"sip.keepAlive">;
  readonly userAgent: string;
}

export interface RtpConfig extends At<"rtp">, OwnAddress {
  readonly portMin: number;
  readonly portMax: number;
  readonly timeouts: At<"rtp.timeouts">;
}

export type LimitConfig = At<"limit">;

export interface SameAddressConfig extends At<"sameAddress"> {
  /** Exceptions; the first that fits counts. */
  readonly accounts: readonly AccountRule[];
}

/** Where the settings come from; a later field beats an earlier one. */
export interface ConfigSources {
  readonly presets?: PartialSettings;
  readonly file?: ConfigFile;
  /** Options of the command line by long name, as text (`true` for a switch). */
  readonly flags?: Readonly<Partial<Record<SettingName, string | boolean>>>;
}

/** Builds the configuration. @throws ConfigError in words for the person who wrote the setting */
export function buildConfig(sources: ConfigSources, rows: Rows = gatewayRows): Config {
  const settings = {
    ...defaultsOf(rows),
    ...sources.presets,
    ...(sources.file ? parseConfigFile(sources.file, rows) : {}),
    ...parseFlags(rows, sources.flags ?? {}),
  } as Settings;
  checkTogether(settings);
  return deepFreeze(configOf(rows as SettingRows, settings));
}

function defaultsOf(rows: Rows): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, row.default]));
}

function parseFlags(
  rows: Rows,
  flags: Readonly<Record<string, string | boolean>>,
): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(flags)) values[name] = readOptionValue(rows[name], value);
  const checked = checkSettings(rows, values);
  if (checked.type === "ok") return checked.settings;
  throw new ConfigError(checked.issues.map((issue) => `--${issue.key} ${issue.message}`).join("; "));
}

/** What is wrong only in combination. */
function checkTogether(settings: Settings): void {
  const [bind, advertise, stunServer] = [settings["int-ip"], settings["ext-ip"], settings["stun-server"]];
  if (advertise === "auto" && stunServer === null) {
    throw new ConfigError("ext-ip auto needs a server to ask: set stun-server, e.g. stun.example.com:3478");
  }
  if (advertise !== "auto" && stunServer !== null) {
    throw new ConfigError("stun-server is asked only when ext-ip is auto");
  }
  if (advertise !== null && advertise !== "auto" && bind !== "::" && isIpv6(bind) !== isIpv6(advertise)) {
    throw new ConfigError(`int-ip ${bind} and ext-ip ${advertise} must both be IPv4 or both be IPv6`);
  }
  if (settings["rtmp-ping"] >= settings["rtmp-idle"]) {
    throw new ConfigError(
      `rtmp-ping (${settings["rtmp-ping"]} s) must be shorter than rtmp-idle (${settings["rtmp-idle"]} s)`,
    );
  }
  const sipPort = settings["sip-port"];
  const clash = rtmpPorts.find((name) => settings[name] === sipPort);
  if (clash !== undefined && sipPort !== null && sipPort !== 0 && overlap(bind, settings.host)) {
    throw new ConfigError(
      `${clash} and sip-port cannot both be ${sipPort}: RTMP and SIP each need their own`,
    );
  }
  checkPorts(settings);
}

const rtmpPorts = ["port", "rtmps-port", "rtmpt-port", "rtmpts-port"] as const;

function checkPorts(settings: Settings): void {
  for (const [index, name] of rtmpPorts.entries()) {
    const same = rtmpPorts.slice(0, index).find((other) => settings[other] === settings[name]);
    if (same !== undefined && settings[name] !== null && settings[name] !== 0) {
      throw new ConfigError(`${same} and ${name} cannot both be ${settings[name]}`);
    }
  }
}

function overlap(a: string, b: string): boolean {
  return a === b || isUnspecified(a) || isUnspecified(b);
}

function configOf(rows: SettingRows, settings: Settings): Config {
  const at = <Place extends string>(place: Place): At<Place> => sliceOf(rows, settings, place);
  const { "int-ip": bind, "ext-ip": external, "sip-port": sipPort, "rtp-ports": rtpPorts } = settings;
  const advertise = external === "auto" ? null : external;
  return {
    ...at(""),
    rtmp: {
      ...at("rtmp"),
      listen: at("rtmp.listen"),
      options: { ...defaultRtmpOptions, ...at("rtmp.options") },
    },
    entrance: {
      ...at("entrance"),
      tls: tlsOf(settings),
      tunnel: listenOf(settings, "rtmpt-port"),
      targets: { ...at("entrance.targets"), open: openTargets(settings) },
    },
    sip: {
      ...at("sip"),
      bind,
      advertise,
      port: sipPort ?? DEFAULT_SIP_PORT,
      portFallback: sipPort === null,
      keepAlive: at("sip.keepAlive"),
      userAgent: `siprtmp/${version}`,
    },
    rtp: {
      ...at("rtp"),
      bind,
      advertise,
      portMin: rtpPorts.min,
      portMax: rtpPorts.max,
      timeouts: at("rtp.timeouts"),
    },
    limit: at("limit"),
    sameAddress: {
      ...at("sameAddress"),
      accounts: settings.account.flatMap(({ rule }) => rule ?? []),
    },
    accounts: settings.account.flatMap(({ account }) => account ?? []),
    verbosity: settings["verbose-all"] ? "trace" : settings.verbose ? "debug" : "normal",
  };
}

function tlsOf(settings: Settings): TlsConfig | null {
  const [listen, tunnel] = [listenOf(settings, "rtmps-port"), listenOf(settings, "rtmpts-port")];
  const { "tls-cert": certificateFile, "tls-key": keyFile } = settings;
  if (listen === null && tunnel === null) {
    if (certificateFile === null && keyFile === null) return null;
    throw new ConfigError("tls-cert and tls-key are for rtmps-port and rtmpts-port, which are not set");
  }
  if (certificateFile === null || keyFile === null) {
    const name = listen === null ? "rtmpts-port" : "rtmps-port";
    throw new ConfigError(`${name} needs a certificate: set tls-cert and tls-key`);
  }
  return { listen, tunnel, certificateFile, keyFile };
}

/** On the address of RTMP; null: the port is not set. */
function listenOf(settings: Settings, name: (typeof rtmpPorts)[number]): Endpoint | null {
  const port = settings[name];
  return port === null ? null : { hostname: settings.host, port };
}

/** The built-in SIP server, wherever it listens. */
function openTargets({ sipd }: Settings): Endpoint[] {
  return sipd === null ? [] : [sipd.listen, ...loopbackPlaces(sipd.listen.port)];
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
