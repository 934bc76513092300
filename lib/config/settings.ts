// Every setting of the gateway, one row each: the names are those of the command line and of the TOML file.
// Role: wire

import { onBusyPolicies, type OnBusyPolicy } from "../live/publisher.ts";
import { isUnspecified, parseNetwork } from "../net/endpoint.ts";
import type { SocketKind } from "../net/sockets.ts";
import { defaultRtmpOptions } from "../rtmp/options.ts";
import { STUN_PORT } from "../net/stun.ts";
import type { SourceRule } from "../rtp/remote_lock.ts";
import type { KeepAliveMethod } from "../sip/transport/keep_alive.ts";
import { accountKeys, parseAccounts, sameAddressPolicies } from "./accounts.ts";
import { dialKeys, parseDialPlan } from "./dial_plan.ts";
import {
  address,
  converted,
  group,
  list,
  oneOf,
  path,
  port,
  setting,
  table,
  token,
  truth,
  type ValuesOf,
  wholeNumber,
} from "./setting.ts";
import {
  DEFAULT_SIP_PORT,
  type DtmfMode,
  MAX_WORKERS,
  parseDialMatcher,
  parseDomain,
  parseExternal,
  parsePortRange,
  parseProxy,
  parseServer,
  parseSipd,
  parseTruth,
  parseWorkers,
  type PortRange,
  type WorkerCount,
} from "./setting_values.ts";

const SECOND_MS = 1000;
const MIB = 1024 * 1024;
const BYTES_PER_KBIT = 1000 / 8;

const ms = (seconds: number): number => seconds * SECOND_MS;
const mib = (count: number): number => count * MIB;

const rtmp = group("RTMP", {
  host: setting(address(), {
    at: "rtmp.listen.hostname",
    short: "i",
    default: "0.0.0.0",
    help: "RTMP listen address",
  }),
  port: setting(port(), {
    at: "rtmp.listen.port",
    short: "p",
    default: 1935,
    help: "RTMP port; 0: any free one",
  }),
  "rtmps-port": setting(port(), {
    default: null,
    absent: "off",
    help: "RTMPS (RTMP over TLS) port; needs tls-cert and tls-key",
  }),
  "rtmpt-port": setting(port(), {
    default: null,
    absent: "off",
    help: "RTMPT (RTMP over HTTP) port",
  }),
  "rtmpts-port": setting(port(), {
    default: null,
    absent: "off",
    help: "RTMPTS (RTMP over HTTPS) port; needs tls-cert and tls-key",
  }),
  "tls-cert": setting(path("file"), {
    default: null,
    reload: true,
    help: "TLS certificate chain, PEM",
  }),
  "tls-key": setting(path("file"), {
    default: null,
    reload: true,
    help: "TLS private key, PEM",
  }),
  root: setting(path("folder"), {
    at: "rtmp.root",
    short: "r",
    default: "./",
    to: (folder) => folder.endsWith("/") ? folder : `${folder}/`,
    help: "folder of FLV files; nothing outside is read or written",
  }),
  record: setting(truth(), {
    at: "rtmp.record",
    default: false,
    help: "let publishers record into the folder of --root",
  }),
  "rtmp-idle": setting(wholeNumber(2, 86400, "<seconds>"), {
    at: "rtmp.options.idleMs",
    default: defaultRtmpOptions.idleMs / SECOND_MS,
    to: ms,
    help: "close idle RTMP clients after this time",
  }),
  "rtmp-ping": setting(wholeNumber(1, 43200, "<seconds>"), {
    at: "rtmp.options.pingMs",
    default: defaultRtmpOptions.pingMs / SECOND_MS,
    to: ms,
    help: "RTMP ping interval",
  }),
  "max-publish-rate": setting(wholeNumber(0, 10_000_000, "<kbit/s>"), {
    at: "rtmp.options.readBytesPerSecond",
    default: defaultRtmpOptions.readBytesPerSecond / BYTES_PER_KBIT,
    to: (kbit) => kbit * BYTES_PER_KBIT,
    help: "read at most this much from an RTMP client; 0: off",
  }),
  "on-busy": setting(oneOf<OnBusyPolicy>("<policy>", onBusyPolicies), {
    at: "onBusy",
    default: "replace" as OnBusyPolicy,
    help: "second publisher of a stream: replace one with the same user, token or key, or reject",
  }),
});

const sip = group("SIP", {
  "int-ip": setting(address(), {
    short: "l",
    default: "0.0.0.0",
    help: "SIP and RTP listen address",
  }),
  "ext-ip": setting(
    converted("an IP address or auto", "<address>", parseExternal, {
      problem: "must be an address that others can reach",
      isBad: (value) => isUnspecified(value),
    }),
    {
      at: null,
      short: "e",
      default: null,
      absent: "local address of the route",
      help: "public address for SIP and SDP; auto: ask stun-server",
    },
  ),
  "stun-server": setting(
    converted(
      "a STUN server like stun.example.com:3478",
      "<host:port>",
      (value) => parseServer(value, STUN_PORT),
    ),
    { at: "sip.stunServer", default: null, absent: "none", help: "STUN server for ext-ip auto" },
  ),
  "sip-port": setting(port(), {
    default: null,
    absent: `${DEFAULT_SIP_PORT}, else the next free one`,
    help: "SIP port, UDP and TCP; 0: any free one",
  }),
  "outbound-proxy": setting(converted("a SIP address like sip:proxy.example.com", "<uri>", parseProxy), {
    at: "sip.outboundProxy",
    default: null,
    absent: "none",
    help: "SIP outbound proxy: first hop of every request",
  }),
  expires: setting(wholeNumber(30, 86400, "<seconds>"), {
    at: "sip.expiresSeconds",
    default: 180,
    help: "SIP registration lifetime to request",
  }),
  "keep-alive": setting(oneOf<KeepAliveMethod>("<method>", ["crlf", "stun", "options", "off"]), {
    at: "sip.keepAlive.method",
    default: "crlf" as KeepAliveMethod,
    help: "NAT keep-alive towards SIP servers: crlf, stun, options or off",
  }),
  "keep-alive-period": setting(wholeNumber(5, 3600, "<seconds>"), {
    at: "sip.keepAlive.periodMs",
    default: 25,
    to: ms,
    help: "longest interval between keep-alives",
  }),
  "same-address": setting(oneOf("<policy>", sameAddressPolicies), {
    at: "sameAddress.policy",
    default: "replace",
    help: "second client of a SIP address: replace the first, share its calls, or reject",
  }),
  sipd: setting(converted("true, false or an IP address like 127.0.0.1:5060", "[address]", parseSipd), {
    at: "sipd",
    default: null,
    absent: "off",
    help:
      `run the built-in SIP server for trials (registrar, proxy, echo, tone); without an address at 127.0.0.1:${DEFAULT_SIP_PORT}`,
  }),
});

const media = group("Media", {
  "rtp-ports": setting(converted("a range of ports like 10000-20000", "<min-max>", parsePortRange), {
    default: { min: 10000, max: 20000 } as PortRange,
    help: "UDP ports for RTP and RTCP",
  }),
  "rtp-source": setting(oneOf<SourceRule>("<rule>", ["nat", "strict", "any"]), {
    at: "rtp.sourceRule",
    default: "nat" as SourceRule,
    help: "accepted source of the first RTP packet: nat, strict or any (docs/security.md)",
  }),
  "media-timeout-initial": setting(wholeNumber(0, 86400, "<seconds>"), {
    at: "rtp.timeouts.initialMs",
    default: 30,
    to: ms,
    help: "hang up when no RTP has come this long after the answer; 0: off",
  }),
  "media-timeout": setting(wholeNumber(0, 86400, "<seconds>"), {
    at: "rtp.timeouts.silenceMs",
    default: 60,
    to: ms,
    help: "hang up when no RTP has come for this long; 0: off",
  }),
  dtmf: setting(oneOf<DtmfMode>("<mode>", ["auto", "rtp", "info", "inband"]), {
    at: "dtmf",
    default: "auto" as DtmfMode,
    help: "DTMF: rtp (RFC 4733), info, inband, or auto: the first the peer supports",
  }),
});

const calls = group("Calls", {
  redirect: setting(converted("true or false", "<true|false>", parseTruth), {
    at: "redirect",
    default: true,
    help: "follow 301 and 302 answers to an INVITE once",
  }),
  "publish-calls": setting(truth(), {
    at: "publishCalls",
    default: false,
    help: "let other RTMP clients play both sides of calls: calls/<address>, streams near and far",
  }),
  dial: setting(table(dialKeys, parseDialPlan), {
    at: "dialPlan",
    default: [],
    help: "dial plan: [[dial]] tables",
  }),
  account: setting(table(accountKeys, (value) => parseAccounts(value)), {
    default: [],
    help: "accounts: [[account]] tables",
  }),
});

const access = group("Access", {
  "rtmp-users": setting(path("file"), {
    at: "entrance.usersFile",
    default: null,
    absent: "none",
    reload: true,
    help: "file of RTMP users and password hashes, made by `siprtmp user add`",
  }),
  "rtmp-token": setting(
    token(),
    {
      at: "entrance.token",
      default: null,
      absent: "none",
      secret: true,
      help: "token accepted instead of user and password; better set in the file",
    },
  ),
  "allowed-domains": setting(list("SIP domains like example.com or *.example.com", parseDomain), {
    at: "entrance.domains",
    default: null,
    absent: "all",
    help: "SIP domains that clients may use: example.com,*.example.com",
  }),
  "allowed-dials": setting(list("patterns as in the dial plan", parseDialMatcher), {
    at: "entrance.dials",
    default: null,
    absent: "all",
    help: "numbers and addresses that may be dialled, as patterns of the dial plan",
  }),
  "allowed-targets": setting(list("addresses and networks like 192.168.0.0/16", parseNetwork), {
    at: "entrance.targets.allowed",
    default: [],
    absent: "none",
    help: "addresses and networks that may be called although link-local, loopback and the like",
  }),
  "max-connections-per-address": setting(wholeNumber(0, 100000, "<count>"), {
    at: "entrance.connectionsPerAddress",
    default: 100,
    help: "most RTMP connections per IP address; 0: off",
  }),
  "max-failed-logins": setting(wholeNumber(0, 100000, "<count>"), {
    at: "entrance.failedLogins",
    default: 10,
    help: "most failed logins per IP address in 10 minutes; 0: off",
  }),
  "max-calls-per-address": setting(wholeNumber(0, 100000, "<count>"), {
    at: "entrance.callsPerAddress",
    default: 120,
    help: "most calls per IP address in a minute; 0: off",
  }),
});

const limits = group("Limits", {
  "max-connections": setting(wholeNumber(1, 100000, "<count>"), {
    at: "limit.connections",
    default: 1000,
    help: "most RTMP connections",
  }),
  "max-half-open": setting(wholeNumber(1, 10000, "<count>"), {
    at: "limit.halfOpen",
    default: 256,
    help: "most RTMP connections before `connect`",
  }),
  "max-calls": setting(wholeNumber(1, 100000, "<count>"), {
    at: "limit.calls",
    default: 500,
    help: "most calls; further ones are answered 503",
  }),
  "max-lag": setting(wholeNumber(0, 10000, "<ms>"), {
    at: "limit.lagMs",
    default: 100,
    help: "reject new calls and clients when event-loop lag exceeds this; 0: off",
  }),
  "max-memory": setting(wholeNumber(0, 1_000_000, "<MiB>"), {
    at: "limit.memoryBytes",
    default: 0,
    to: mib,
    help: "reject new calls and clients when resident memory exceeds this; 0: off",
  }),
});

const program = group("Process", {
  sockets: setting(oneOf<SocketKind>("<kind>", ["auto", "deno", "linux"]), {
    at: "sockets",
    default: "auto" as SocketKind,
    help: "socket backend: deno, linux (epoll by system calls, faster), auto: linux where it can be had",
  }),
  workers: setting(
    converted(`a whole number from 1 to ${MAX_WORKERS}, or auto`, "<count>", parseWorkers, {
      whole: true,
    }),
    {
      at: "workers",
      default: 1 as WorkerCount,
      help: "worker threads, each with a SIP port and a part of rtp-ports; auto: one per core",
    },
  ),
  verbose: setting(truth(), {
    short: "d",
    default: false,
    help: "log SIP messages and RTMP commands",
  }),
  "verbose-all": setting(truth(), {
    short: "D",
    default: false,
    help: "log everything, media packets too",
  }),
});

/** In the order of the help. */
export const settings = { ...rtmp, ...sip, ...media, ...calls, ...access, ...limits, ...program };

export type SettingRows = typeof settings;
export type SettingName = keyof SettingRows;

/** The settings after checking, by their long names. */
export type Settings = ValuesOf<SettingRows>;

/** Some of the settings: what one source (file or command line) gives. */
export type PartialSettings = Partial<Settings>;
