// One frozen value with everything that can be set, made by a pure function from defaults, file and flags (each beats
// the one before). No other module reads flags, files or the environment. Answers to: the options object of
// siprtmp.py; architecture.md 3.12. Deviates: -e counts whatever -l says (behaviour.md 1.11, defect 1).
// Role: wire

import { ConfigError } from "../base/errors.ts";
import { type Endpoint, isIpv6, isUnspecified } from "../net/endpoint.ts";
import type { MediaTimeouts } from "../rtp/media_watch.ts";
import type { SourceRule } from "../rtp/remote_lock.ts";
import type { OnBusyPolicy } from "../live/publisher.ts";
import { defaultRtmpOptions, type RtmpOptions } from "../rtmp/options.ts";
import type { SocketKind } from "../net/sockets.ts";
import type { KeepAliveSettings } from "../sip/transport/keep_alive.ts";
import type { SipUri } from "../sip/message/uri.ts";
import type { AccountRule, SameAddressPolicy } from "./accounts.ts";
import { type ConfigFile, parseConfigFile } from "./config_file.ts";
import { checkSettings, readOptionValue, type SettingIssue } from "./config_schema.ts";
import type { DialPlan } from "./dial_plan.ts";
import { type EntranceConfig, entranceOf } from "./entrance_config.ts";
import { type LimitConfig, limitOf, publishBytesPerSecond } from "./guard_config.ts";
import { timeoutsOf } from "./media_config.ts";
import type { SipAccount } from "./sip_account.ts";
import {
  DEFAULT_SIP_PORT,
  defaultSettings,
  type DtmfMode,
  type PartialSettings,
  type SettingName,
  type Settings,
  type SipdConfig,
  type WorkerCount,
} from "./config_settings.ts";

export type { LimitConfig } from "./guard_config.ts";

/** The version of this program; the same as in deno.json. */
export const version = "0.1.0";

/** How much the log says: `-d` is debug, `-D` is trace. */
export type Verbosity = "normal" | "debug" | "trace";

/** Everything that can be set, checked and frozen. */
export interface Config {
  readonly rtmp: RtmpConfig;
  readonly entrance: EntranceConfig;
  readonly sip: SipConfig;
  readonly rtp: RtpConfig;
  readonly sockets: SocketKind;
  readonly limit: LimitConfig;
  /** Where dialled numbers go. */
  readonly dialPlan: DialPlan;
  readonly sameAddress: SameAddressConfig;
  readonly accounts: readonly SipAccount[];
  readonly dtmf: DtmfMode;
  /** What happens to who publishes what another client publishes. */
  readonly onBusy: OnBusyPolicy;
  /** Whether a 3xx is followed, unless an account says otherwise. */
  readonly redirect: boolean;
  /** True when the two sides of each call may be played by other RTMP clients. */
  readonly publishCalls: boolean;
  /** The built-in SIP server for trials; null: it does not run. */
  readonly sipd: SipdConfig | null;
  readonly verbosity: Verbosity;
  /** Threads that carry calls; 1: none but the main one. */
  readonly workers: WorkerCount;
}

/** Where RTMP clients connect and how long they may be silent. */
export interface RtmpConfig {
  /** Where to listen; port 0 takes any free one. */
  readonly listen: Endpoint;
  readonly root: string;
  /** Times and bounds of each connection. */
  readonly options: RtmpOptions;
}

export interface SipConfig {
  readonly bind: string;
  /** Address told to peers, an IP literal; null: the one that faces each peer. */
  readonly advertise: string | null;
  /** STUN server to learn the address told to public peers from; null: `advertise` says all. */
  readonly stunServer: Endpoint | null;
  /** Port to bind, UDP and TCP; 0 takes any free one. */
  readonly port: number;
  /** True when the next free port will do: nobody asked for this very one. */
  readonly portFallback: boolean;
  /** Where every request goes first; null: straight to its target. */
  readonly outboundProxy: SipUri | null;
  /** Life asked for a registration, in seconds. */
  readonly expiresSeconds: number;
  readonly keepAlive: KeepAliveSettings;
  readonly userAgent: string;
}

/** Where media sockets are bound. */
export interface RtpConfig {
  readonly bind: string;
  /** Address told to peers, an IP literal; null: the one that faces each peer. */
  readonly advertise: string | null;
  /** First port of the range. */
  readonly portMin: number;
  readonly portMax: number;
  /** Who may send a call's media first. */
  readonly sourceRule: SourceRule;
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
export function buildConfig(sources: ConfigSources): Config {
  const settings: Settings = {
    ...defaultSettings,
    ...sources.presets,
    ...(sources.file ? parseConfigFile(sources.file) : {}),
    ...parseFlags(sources.flags ?? {}),
  };
  checkTogether(settings);
  return deepFreeze(configOf(settings));
}

function parseFlags(flags: Readonly<Partial<Record<SettingName, string | boolean>>>): PartialSettings {
  const entries = Object.entries(flags) as [SettingName, string | boolean][];
  const values = Object.fromEntries(entries.map(([name, value]) => [name, readOptionValue(name, value)]));
  const checked = checkSettings(values);
  if (checked.type === "ok") return checked.settings;
  throw new ConfigError(
    checked.issues.map((issue: SettingIssue) => `--${issue.key} ${issue.message}`).join("; "),
  );
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

function configOf(settings: Settings): Config {
  const bind = settings["int-ip"];
  const advertise = settings["ext-ip"] === "auto" ? null : settings["ext-ip"];
  return {
    rtmp: {
      listen: { hostname: settings.host, port: settings.port },
      root: settings.root.endsWith("/") ? settings.root : `${settings.root}/`,
      options: {
        ...defaultRtmpOptions,
        idleMs: settings["rtmp-idle"] * 1000,
        pingMs: settings["rtmp-ping"] * 1000,
        readBytesPerSecond: publishBytesPerSecond(settings),
      },
    },
    entrance: entranceOf(settings),
    sip: {
      bind,
      advertise,
      stunServer: settings["stun-server"],
      port: settings["sip-port"] ?? DEFAULT_SIP_PORT,
      portFallback: settings["sip-port"] === null,
      outboundProxy: settings["outbound-proxy"],
      expiresSeconds: settings.expires,
      keepAlive: { method: settings["keep-alive"], periodMs: settings["keep-alive-period"] * 1000 },
      userAgent: `siprtmp/${version}`,
    },
    rtp: {
      bind,
      advertise,
      portMin: settings["rtp-ports"].min,
      portMax: settings["rtp-ports"].max,
      sourceRule: settings["rtp-source"],
      timeouts: timeoutsOf(settings),
    },
    sockets: settings.sockets,
    limit: limitOf(settings),
    dialPlan: settings.dial,
    sameAddress: {
      policy: settings["same-address"],
      accounts: settings.account.flatMap(({ rule }) => rule ?? []),
    },
    accounts: settings.account.flatMap(({ account }) => account ?? []),
    onBusy: settings["on-busy"],
    dtmf: settings.dtmf,
    redirect: settings.redirect,
    publishCalls: settings["publish-calls"],
    sipd: settings.sipd,
    verbosity: settings["verbose-all"] ? "trace" : settings.verbose ? "debug" : "normal",
    workers: settings.workers,
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
