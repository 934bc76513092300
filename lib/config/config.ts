// One frozen value with everything that can be set, made by a pure function from defaults, file and flags (each beats
// the one before). No other module reads flags, files or the environment.
// Role: wire

import { ConfigError } from "../base/errors.ts";
import { type Endpoint, isIpv6, isUnspecified } from "../net/endpoint.ts";
import type { MediaTimeouts } from "../rtp/media_watch.ts";
import { defaultRtmpOptions, type RtmpOptions } from "../rtmp/options.ts";
import type { KeepAliveSettings } from "../sip/transport/keep_alive.ts";
import type { AccountRule, SameAddressPolicy } from "./accounts.ts";
import { type ConfigFile, parseConfigFile } from "./config_file.ts";
import { type EntranceConfig, entranceOf } from "./entrance_config.ts";
import { checkSettings, readOptionValue, type Rows, sliceOfRows } from "./setting.ts";
import { DEFAULT_SIP_PORT } from "./setting_values.ts";
import {
  type PartialSettings,
  type SettingName,
  type SettingRows,
  type Settings,
  settings as gatewayRows,
  type Slice,
} from "./settings.ts";
import type { SipAccount } from "./sip_account.ts";

/** The version of this program; the same as in deno.json. */
export const version = "0.1.0";

/** How much the log says: `-d` is debug, `-D` is trace. */
export type Verbosity = "normal" | "debug" | "trace";

/** Everything that can be set, checked and frozen. Most members are what rows of settings.ts give. */
export interface Config extends TopSlice {
  readonly rtmp: RtmpConfig;
  readonly entrance: EntranceConfig;
  readonly sip: SipConfig;
  readonly rtp: RtpConfig;
  readonly limit: LimitConfig;
  readonly sameAddress: SameAddressConfig;
  readonly accounts: readonly SipAccount[];
  readonly verbosity: Verbosity;
}

/** The rows that are members of the configuration itself. */
type TopSlice = {
  readonly [
    Name in SettingName as SettingRows[Name]["at"] extends null | `${string}.${string}` ? never
      : Exclude<SettingRows[Name]["at"], null>
  ]: ReturnType<SettingRows[Name]["to"]>;
};

/** Bounds of the whole gateway. */
export type LimitConfig = Slice<"limit">;

/** Where RTMP clients connect and how long they may be silent. */
export interface RtmpConfig extends Slice<"rtmp"> {
  /** Where to listen; port 0 takes any free one. */
  readonly listen: Endpoint;
  /** Times and bounds of each connection. */
  readonly options: RtmpOptions;
}

export interface SipConfig extends Slice<"sip"> {
  readonly bind: string;
  /** Address told to peers, an IP literal; null: the one that faces each peer. */
  readonly advertise: string | null;
  /** Port to bind, UDP and TCP; 0 takes any free one. */
  readonly port: number;
  /** True when the next free port will do: nobody asked for this very one. */
  readonly portFallback: boolean;
  readonly keepAlive: KeepAliveSettings;
  readonly userAgent: string;
}

/** Where media sockets are bound. */
export interface RtpConfig extends Slice<"rtp"> {
  readonly bind: string;
  /** Address told to peers, an IP literal; null: the one that faces each peer. */
  readonly advertise: string | null;
  readonly portMin: number;
  readonly portMax: number;
  /** How long a call lasts without anything of its peer. */
  readonly timeouts: MediaTimeouts;
}

export interface SameAddressConfig {
  /** For addresses without a rule of their own. */
  readonly policy: SameAddressPolicy;
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
  return deepFreeze(configOf(rows, settings));
}

export function defaultsOf(rows: Rows): Readonly<Record<string, unknown>> {
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
  const clash = (["port", "rtmps-port", "rtmpt-port", "rtmpts-port"] as const).find((name) =>
    settings[name] === sipPort
  );
  if (clash !== undefined && sipPort !== null && sipPort !== 0 && overlap(bind, settings.host)) {
    throw new ConfigError(
      `${clash} and sip-port cannot both be ${sipPort}: RTMP and SIP each need their own`,
    );
  }
}

function overlap(a: string, b: string): boolean {
  return a === b || isUnspecified(a) || isUnspecified(b);
}

function configOf(rows: Rows, settings: Settings): Config {
  const bind = settings["int-ip"];
  const advertise = settings["ext-ip"] === "auto" ? null : settings["ext-ip"];
  const slice = <Part extends string>(part: Part): Slice<Part> =>
    sliceOfRows(rows, settings, part) as Slice<Part>;
  return {
    ...(sliceOfRows(rows, settings, "") as TopSlice),
    rtmp: {
      ...slice("rtmp"),
      listen: { hostname: settings.host, port: settings.port },
      options: {
        ...defaultRtmpOptions,
        idleMs: settings["rtmp-idle"] * 1000,
        pingMs: settings["rtmp-ping"] * 1000,
        readBytesPerSecond: settings["max-publish-rate"] * 1000 / 8,
      },
    },
    entrance: entranceOf(settings, slice("entrance")),
    sip: {
      ...slice("sip"),
      bind,
      advertise,
      port: settings["sip-port"] ?? DEFAULT_SIP_PORT,
      portFallback: settings["sip-port"] === null,
      keepAlive: { method: settings["keep-alive"], periodMs: settings["keep-alive-period"] * 1000 },
      userAgent: `siprtmp/${version}`,
    },
    rtp: {
      ...slice("rtp"),
      bind,
      advertise,
      portMin: settings["rtp-ports"].min,
      portMax: settings["rtp-ports"].max,
      timeouts: slice("timeouts"),
    },
    limit: slice("limit"),
    sameAddress: {
      policy: settings["same-address"],
      accounts: settings.account.flatMap(({ rule }) => rule ?? []),
    },
    accounts: settings.account.flatMap(({ account }) => account ?? []),
    verbosity: settings["verbose-all"] ? "trace" : settings.verbose ? "debug" : "normal",
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
