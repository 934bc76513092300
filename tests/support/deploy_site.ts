// All of deploy/ running on loopback, the very files, each program at an address of its own: HAProxy, Kamailio, two
// gateways as processes of their own, and a trunk. Its users are alice1, alice2, ... with passwords "<user>-secret".

import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { digestHash } from "../../lib/sip/ua/digest.ts";
import { Trunk } from "./deploy_trunk.ts";
import { freePort } from "./free_port.ts";
import { type RunningHaproxy, startHaproxy } from "./haproxy.ts";
import { type RunningKamailio, startKamailio } from "./kamailio.ts";
import { type RunningProgram, startProgram } from "./program.ts";
import { type PhoneOptions, RtmpPhone } from "./rtmp_phone.ts";

/** The files under test. */
export const DEPLOY = new URL("../../deploy/", import.meta.url).pathname;

/** The domain of kamailio.cfg; nothing looks it up. */
export const DOMAIN = "sip.example.com";

const KAMAILIO = "127.0.0.10";
const GATEWAYS = ["127.0.0.11", "127.0.0.12"] as const;
const TRUNK = "127.0.0.20";
/** Media ports of each gateway: other tests of this machine have others. */
const RTP_PORTS = ["30000-34000", "34002-38000"] as const;

export interface Site extends AsyncDisposable {
  readonly kamailio: RunningKamailio;
  readonly haproxy: RunningHaproxy;
  readonly gateways: readonly [RunningProgram, RunningProgram];
  /** Starts a gateway that has ended once more, at the same ports; it ends with the site. */
  restart(index: 0 | 1): Promise<RunningProgram>;
  readonly trunk: Trunk;
  /** host:port of each gateway's RTMP, without HAProxy. */
  readonly rtmp: readonly [string, string];
  /** Where Kamailio listens. */
  readonly sip: Deno.NetAddr;
  /** A user comes in by HAProxy; without a password they do not register. */
  connect(user: string, more?: Partial<PhoneOptions>): Promise<RtmpPhone>;
  /** Adds a user to Kamailio's table while it runs. */
  addUser(user: string): Promise<void>;
  /** Where `user` comes in. */
  url(user: string): string;
}

export interface SiteOptions {
  /** How many users Kamailio knows: alice1 to alice<users>; absent: 3. */
  readonly users?: number;
  /** More settings of kamailio.cfg. */
  readonly defines?: Readonly<Record<string, string>>;
  /** Other trunks that are tried first, in this order. */
  readonly trunksBefore?: readonly Trunk[];
  /** More settings of haproxy.cfg. */
  readonly balancer?: Readonly<Record<string, string>>;
}

export async function startSite(options: SiteOptions = {}): Promise<Site> {
  const { users = 3, defines = {}, trunksBefore = [], balancer = {} } = options;
  await using opened = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-site-" });
  opened.defer(() => Deno.remove(folder, { recursive: true }));
  const trunk = opened.use(new Trunk(TRUNK));
  const ports = GATEWAYS.map((hostname) => ({
    hostname,
    rtmp: freePort(hostname),
    sip: freePort(hostname),
  }));
  const destinations = [
    ...ports.map(({ hostname, sip }) => `1 sip:${hostname}:${sip}`),
    ...[...trunksBefore, trunk].map(({ hostname, sipPort }, index) =>
      `2 sip:${hostname}:${sipPort} 0 ${10 - index}`
    ),
  ];
  await Deno.writeTextFile(`${folder}/dispatcher.list`, `${destinations.join("\n")}\n`);
  await writeUsers(folder, users);
  const kamailio = opened.use(
    await startKamailio({
      config: `${DEPLOY}kamailio.cfg`,
      hostname: KAMAILIO,
      defines: { ...kamailioDefines(folder), ...defines },
    }),
  );
  const start = (index: 0 | 1): Promise<RunningProgram> =>
    startProgram({ args: gatewayArgs({ ...ports[index]!, rtpPorts: RTP_PORTS[index] }, kamailio.port) });
  const [first, second] = await Promise.all([start(0), start(1)]);
  opened.use(first);
  opened.use(second);
  const [at1 = "", at2 = ""] = ports.map(({ hostname, rtmp }) => `${hostname}:${rtmp}`);
  const haproxy = opened.use(await startHaproxy([at1, at2], balancer));
  const url = (user: string): string => `rtmp://127.0.0.1:${haproxy.rtmpPort}/sip/${user}@${DOMAIN}`;
  const owner = opened.move();
  return {
    kamailio,
    haproxy,
    trunk,
    rtmp: [at1, at2],
    sip: { transport: "udp", hostname: KAMAILIO, port: kamailio.port },
    gateways: [first, second],
    addUser: (user) => Deno.writeTextFile(`${folder}/users/subscriber`, `${rowOf(user)}\n`, { append: true }),
    restart: async (index) => owner.use(await start(index)),
    url,
    connect: (user, more = {}) =>
      RtmpPhone.connect({ url: url(user), login: user, password: `${user}-secret`, ...more }),
    [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose](),
  };
}

/** What deploy/kamailio.cfg takes from the command line, with the lists of a folder. */
export function kamailioDefines(folder: string): Record<string, string> {
  return {
    SIP_ADDRESS: KAMAILIO,
    DISPATCHER_LIST: `"${folder}/dispatcher.list"`,
    USERS: `"text://${folder}/users"`,
  };
}

/** Waits until something is so; `what` is in the complaint when it does not become so. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  withinMs = 15_000,
): Promise<void> {
  for (const endMs = performance.now() + withinMs; !await isSo();) {
    if (performance.now() > endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** deploy/gateway.toml, with other addresses and ports. */
function gatewayArgs(
  at: { hostname: string; rtmp: number; sip: number; rtpPorts: string },
  kamailioPort: number,
): string[] {
  return [
    ...["--config", `${DEPLOY}gateway.toml`],
    ...["-i", at.hostname, "-p", `${at.rtmp}`],
    ...["-l", at.hostname, "--sip-port", `${at.sip}`, "--rtp-ports", at.rtpPorts],
    ...["--outbound-proxy", `sip:${KAMAILIO}:${kamailioPort}`],
  ];
}

/** The tables of deploy/users with users in them. */
async function writeUsers(folder: string, count: number): Promise<void> {
  await Deno.mkdir(`${folder}/users`);
  await Deno.copyFile(`${DEPLOY}users/version`, `${folder}/users/version`);
  const head = await Deno.readTextFile(`${DEPLOY}users/subscriber`);
  const rows = Array.from({ length: count }, (_, index) => rowOf(`alice${index + 1}`));
  await Deno.writeTextFile(`${folder}/users/subscriber`, `${head.trimEnd()}\n${rows.join("\n")}\n`);
}

/** User and HA1 (RFC 2617 section 3.2.2.2). */
function rowOf(user: string): string {
  return `${user}:${digestHash("MD5", encodeUtf8(`${user}:${DOMAIN}:${user}-secret`))}`;
}
