// Who comes in and how: ports besides the plain one, the certificate, users, limits.
// Role: wire

import { loopbackPlaces, type TargetPolicyOptions } from "../gateway/access/target_policy.ts";
import { ConfigError } from "../base/errors.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { Settings, Slice } from "./settings.ts";

export interface EntranceConfig extends Slice<"entrance"> {
  /** RTMP over TLS, plain or in HTTP requests; null: none. */
  readonly tls: TlsConfig | null;
  /** RTMP in HTTP requests; null: none. */
  readonly tunnel: Endpoint | null;
  /** Where may be sent to although it usually may not. */
  readonly targets: TargetPolicyOptions;
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

/** Puts the settings together. @throws ConfigError for what is wrong only in combination */
export function entranceOf(settings: Settings, slice: Slice<"entrance">): EntranceConfig {
  checkPorts(settings);
  const { host, sipd, "rtmpt-port": tunnelPort } = settings;
  return {
    ...slice,
    tls: tlsOf(settings, host),
    tunnel: tunnelPort === null ? null : { hostname: host, port: tunnelPort },
    targets: {
      allowed: settings["allowed-targets"],
      open: sipd === null ? [] : [sipd.listen, ...loopbackPlaces(sipd.listen.port)],
    },
  };
}

function tlsOf(settings: Settings, hostname: string): TlsConfig | null {
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

function checkPorts(settings: Settings): void {
  const names = ["port", "rtmps-port", "rtmpt-port", "rtmpts-port"] as const;
  for (const [index, name] of names.entries()) {
    const same = names.slice(0, index).find((other) => settings[other] === settings[name]);
    if (same !== undefined && settings[name] !== null && settings[name] !== 0) {
      throw new ConfigError(`${same} and ${name} cannot both be ${settings[name]}`);
    }
  }
}
