// The settings of the gateway: their names (the same on the command line and in the TOML file), their
// defaults, and how the help describes them.
// Answers to: the optparse set-up at the end of siprtmp.py; behaviour.md 1.1.
// Role: wire

import type { Endpoint } from "../net/endpoint.ts";
import type { SocketKind } from "../net/sockets.ts";
import type { KeepAliveMethod } from "../sip/transport/keep_alive.ts";
import type { SipUri } from "../sip/message/uri.ts";
import type { AccountEntry, SameAddressPolicy } from "./accounts.ts";
import type { DialPlan } from "./dial_plan.ts";
import type { OnBusyPolicy } from "../live/publisher.ts";
import { defaultEntrance, type EntranceSettings } from "./entrance_config.ts";
import { defaultGuard, type GuardSettings } from "./guard_config.ts";
import { defaultMedia, type MediaSettings } from "./media_config.ts";

/** The settings after checking, by their long names. */
export interface Settings extends EntranceSettings, GuardSettings, MediaSettings {
  /** Where RTMP clients connect: an IP address. */
  host: string;
  /** RTMP port; 0 takes any free one. */
  port: number;
  root: string;
  /** Address that SIP and RTP bind. */
  "int-ip": string;
  /** Address told to SIP peers; "auto": ask the STUN server; null: the one that faces each peer. */
  "ext-ip": string | null;
  /** STUN server for ext-ip auto; a name or an IP address. */
  "stun-server": Endpoint | null;
  /** SIP port; null: 5060, else the next free one; 0: any free one. */
  "sip-port": number | null;
  /** First and last UDP port for media. */
  "rtp-ports": PortRange;
  sockets: SocketKind;
  /** Where every SIP request goes first; null: straight to its target. */
  "outbound-proxy": SipUri | null;
  /** Life of a registration asked for, in seconds. */
  expires: number;
  /** How the way from a SIP server back to us is kept open through a NAT. */
  "keep-alive": KeepAliveMethod;
  /** Longest time between two keep-alives, in seconds. */
  "keep-alive-period": number;
  /** What happens when a client connects to an address that another one uses. */
  "same-address": SameAddressPolicy;
  /** What happens to who publishes what another client publishes. */
  "on-busy": OnBusyPolicy;
  dtmf: DtmfMode;
  /** Whether a call goes on where a 3xx sends it. */
  redirect: boolean;
  /** Whether other RTMP clients may play the two sides of calls. */
  "publish-calls": boolean;
  /** Where the built-in SIP server listens; null: it does not run. */
  sipd: SipdConfig | null;
  /** Threads that carry calls; "auto": one for each core. */
  workers: WorkerCount;
  /** Seconds of silence after which an RTMP client counts as dead. */
  "rtmp-idle": number;
  /** Seconds between RTMP pings. */
  "rtmp-ping": number;
  verbose: boolean;
  /** Log everything, media packets too. */
  "verbose-all": boolean;
  /** Where dialled numbers go; in the file only, as [[dial]]. */
  dial: DialPlan;
  /** Exceptions for some addresses, and our own SIP users; in the file only, as [[account]]. */
  account: readonly AccountEntry[];
}

/** How many threads carry calls; "auto": as many as there are cores. */
export type WorkerCount = number | "auto";

/** Workers at most: each takes a SIP port, a slice of the RTP ports, and memory. */
export const MAX_WORKERS = 64;

/** How touch tones are sent: the best way there is, or always this one. */
export type DtmfMode = "auto" | "rtp" | "info" | "inband";

export interface SipdConfig {
  /** Where to listen. */
  readonly listen: Endpoint;
  /** True when the next free port will do: nobody asked for this very one. */
  readonly portFallback: boolean;
}

/** Some of the settings: what one source (file or command line) gives. */
export type PartialSettings = { [Name in SettingName]?: Settings[Name] };

export type SettingName = keyof Settings;

export interface PortRange {
  /** First port. */
  readonly min: number;
  readonly max: number;
}

/** How a setting is written on the command line and described in the help. */
export interface SettingDescription {
  readonly name: SettingName;
  readonly short: string | null;
  /** Placeholder of the value, e.g. `<port>`; `[address]` may be left out; null: a switch. */
  readonly value: string | null;
  /** True when the value is a whole number, which the command line gives as text. */
  readonly whole: boolean;
  readonly text: string;
}

/** The values used when nobody says otherwise. */
export const defaultSettings: Readonly<Settings> = {
  host: "0.0.0.0",
  port: 1935,
  root: "./",
  "int-ip": "0.0.0.0",
  "ext-ip": null,
  "stun-server": null,
  "sip-port": null,
  "rtp-ports": { min: 10000, max: 20000 },
  sockets: "auto",
  "outbound-proxy": null,
  expires: 180,
  "keep-alive": "crlf",
  "keep-alive-period": 25,
  "same-address": "replace",
  "on-busy": "replace",
  dtmf: "auto",
  redirect: true,
  "publish-calls": false,
  sipd: null,
  ...defaultGuard,
  ...defaultMedia,
  workers: 1,
  ...defaultEntrance,
  "rtmp-idle": 60,
  "rtmp-ping": 15,
  verbose: false,
  "verbose-all": false,
  dial: [],
  account: [],
};

/** Settings that are tables, so the file has them and the command line has not. */
export const tableSettings: readonly SettingName[] = ["dial", "account"];

/** Port of SIP, of the gateway and of the built-in server (RFC 3261 19.1.2). */
export const DEFAULT_SIP_PORT = 5060;

/** Every setting of the command line, in the order of the help. */
export const settingDescriptions: readonly SettingDescription[] = [
  text("host", "i", "<address>", "address where RTMP clients connect"),
  whole("port", "p", "<port>", "port where RTMP clients connect; 0: any"),
  whole("rtmps-port", null, "<port>", "port for RTMP over TLS; needs tls-cert and tls-key (default: none)"),
  text("tls-cert", null, "<file>", "certificate chain, PEM; read again on SIGHUP"),
  text("tls-key", null, "<file>", "its private key, PEM"),
  whole("rtmpt-port", null, "<port>", "port for RTMP in HTTP requests (default: none)"),
  whole(
    "rtmpts-port",
    null,
    "<port>",
    "port for RTMP in HTTPS requests; needs tls-cert and tls-key (default: none)",
  ),
  text("rtmp-users", null, "<file>", "who may connect, with password hashes; read again on SIGHUP"),
  text("rtmp-token", null, "<text>", "who shows it may connect (better set in the file than here)"),
  text("root", "r", "<folder>", "folder of FLV files"),
  text("int-ip", "l", "<address>", "address that SIP and RTP bind"),
  text(
    "ext-ip",
    "e",
    "<address>",
    "address told to SIP peers; auto: ask stun-server (default: the one facing each)",
  ),
  whole("sip-port", null, "<port>", "SIP port, UDP and TCP (default: 5060, else the next free one)"),
  text("stun-server", null, "<host:port>", "STUN server that -e auto asks for our public address"),
  text("rtp-ports", null, "<min-max>", "UDP ports for media"),
  text(
    "rtp-source",
    null,
    "<rule>",
    "who may send a call's media first: nat, strict or any, see docs/security.md",
  ),
  whole(
    "media-timeout-initial",
    null,
    "<seconds>",
    "end a call when no RTP has come so long after the answer; 0: never",
  ),
  whole("media-timeout", null, "<seconds>", "end a call when no RTP has come for so long; 0: never"),
  text(
    "sockets",
    null,
    "<kind>",
    "of deno, or of linux, which carry more calls and need --allow-ffi; auto: those where they may be had",
  ),
  text("outbound-proxy", null, "<uri>", "SIP proxy that every request goes to first"),
  whole("expires", null, "<seconds>", "life of a SIP registration"),
  text("keep-alive", null, "<method>", "crlf, stun, options or off: keeps the way back through a NAT open"),
  whole("keep-alive-period", null, "<seconds>", "longest time between keep-alives"),
  text(
    "same-address",
    null,
    "<policy>",
    "second client of an address: replace the first, share its calls, or reject it",
  ),
  text(
    "on-busy",
    null,
    "<policy>",
    "second publisher of a stream: replace one that showed the same user, token or key, or reject",
  ),
  text(
    "dtmf",
    null,
    "<way>",
    "touch tones by rtp, info or inband; auto: the first of them that a call takes",
  ),
  text("redirect", null, "<true|false>", "follow a call once to where a 3xx answer sends it"),
  flag("publish-calls", null, "let other RTMP clients play both sides of calls, under calls/<address>"),
  text("sipd", null, "[address]", "also run a small SIP server for trials (at 127.0.0.1:5060)"),
  whole("max-connections", null, "<count>", "most RTMP connections at a time"),
  whole("max-calls", null, "<count>", "most calls at a time; one more is answered 503"),
  whole("max-lag", null, "<ms>", "lateness of the program above which nothing new is taken; 0: any"),
  whole("max-memory", null, "<MiB>", "memory above which nothing new is taken; 0: any"),
  whole("max-half-open", null, "<count>", "most RTMP connections that have not said connect"),
  whole("max-publish-rate", null, "<kbit/s>", "most that one RTMP client may send; 0: any"),
  whole("workers", null, "<count>", "threads that carry calls, each with a SIP port; auto: one per core"),
  whole("max-connections-per-address", null, "<count>", "most connections of one address; 0: any number"),
  whole(
    "max-failed-logins",
    null,
    "<count>",
    "most failed logins of one address in 10 minutes; 0: any number",
  ),
  whole("max-calls-per-address", null, "<count>", "most calls of one address in a minute; 0: any number"),
  text("allowed-domains", null, "<list>", "SIP domains that may be used: example.com,*.example.com"),
  text("allowed-dials", null, "<list>", "patterns of what may be dialled, as in the dial plan"),
  text(
    "allowed-targets",
    null,
    "<list>",
    "addresses that may be called although they are link-local, loopback, ...",
  ),
  whole("rtmp-idle", null, "<seconds>", "silence after which an RTMP client is dead"),
  whole("rtmp-ping", null, "<seconds>", "time between RTMP pings"),
  flag("verbose", "d", "log SIP messages and the clients' commands"),
  flag("verbose-all", "D", "log everything, media packets too"),
];

function text(name: SettingName, short: string | null, value: string, help: string): SettingDescription {
  return { name, short, value, whole: false, text: help };
}

function whole(name: SettingName, short: string | null, value: string, help: string): SettingDescription {
  return { name, short, value, whole: true, text: help };
}

function flag(name: SettingName, short: string | null, help: string): SettingDescription {
  return { name, short, value: null, whole: false, text: help };
}
