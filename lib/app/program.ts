// The program behind the command line: one command, one exit code. What it needs of the machine comes as a
// Host, so that a test can run it whole.
// Role: edge

import { withUser } from "./add_user.ts";
import { checkHealth } from "./health.ts";
import { formatCodecSums } from "./codec_sums.ts";
import {
  type Build,
  codecAdvice,
  type CodecNames,
  commandPrefix,
  formatLicences,
  formatVersion,
  type RuntimeVersions,
} from "./build.ts";
import {
  type AddUserCommand,
  type DemoCommand,
  type HealthCommand,
  loadText,
  parseArguments,
  type ReadFile,
  type StartCommand,
  UnreadableFile,
} from "./options.ts";
import { systemClock } from "../base/clock.ts";
import { ConfigError, messageOf, TransportError, WireError } from "../base/errors.ts";
import { type Logger, type OpenLog, openLog } from "../base/log.ts";
import { maskSecrets } from "../base/mask_secrets.ts";
import { systemRandom } from "../base/random.ts";
import { CallRegistry } from "../call/registry.ts";
import type { Codecs } from "../codecs/codecs.ts";
import { loadCodecs } from "../codecs/load.ts";
import { changedSettings } from "../config/config_file.ts";
import type { Config, ConfigSources, Verbosity } from "../config/config.ts";
import { settings } from "../config/settings.ts";
import { loopbackPlaces, TargetPolicy } from "../gateway/access/target_policy.ts";
import { Gateway, type GatewayEnvironment } from "../gateway/gateway.ts";
import { systemDns } from "../net/dns.ts";
import { type Endpoint, formatEndpoint, isUnspecified } from "../net/endpoint.ts";
import type { Permission } from "../net/permissions.ts";
import { openSockets } from "../net/sockets.ts";
import { SipServer } from "../tools/sipd/sip_server.ts";
import { type EchoReport, formatLadder, judge } from "../tools/trial/echo_meter.ts";
import {
  runTrialCall,
  type TrialEnvironment,
  type TrialOptions,
  type TrialReport,
} from "../tools/trial/trial_call.ts";
import { Supervisor, workersOf } from "../workers/supervisor.ts";

export { giveUp } from "../net/permissions.ts";

export interface Host {
  readonly build: Build;
  readonly runtime: RuntimeVersions;
  /** Reads a text file; throws when it cannot. */
  readonly readFile: ReadFile;
  /** Puts a text file in the place of another at once, for its owner's eyes only; throws when it cannot. */
  replaceFile(path: string, text: string): Promise<void>;
  /** The first line of standard input; not shown while it is typed. */
  readPassword(): Promise<string>;
  print(text: string): void;
  complain(text: string): void;
  /** Told once, when everything that was asked for runs: a defect before that is a failed start. */
  started(): void;
  /** Aborted when the user wants the program to end. */
  readonly stop: AbortSignal;
  /** For good, in all threads. */
  giveUp(permissions: readonly Permission[]): void;
  /** Calls `reload` each time the user wants certificate and users read again (SIGHUP). */
  onReload(reload: () => Promise<void>): void;
}

/** Runs one command line to its end and returns the exit code: 0 well, 1 it did not work, 2 wrong options. */
export async function runProgram(args: readonly string[], host: Host): Promise<number> {
  const command = parseArguments(args, host.readFile);
  switch (command.type) {
    case "print":
      if (command.exitCode === 0) host.print(command.text);
      else host.complain(command.text);
      return command.exitCode;
    case "version":
      host.print(formatVersion(host.build, host.runtime, await loadedCodecs()));
      return 0;
    case "licences":
      host.print(formatLicences(host.build));
      return 0;
    case "codecs":
      host.print(await formatCodecSums(await loadCodecs()));
      return 0;
    case "health":
      return await withLog("normal", host, () => health(command, host));
    case "add user":
      return await withLog("normal", host, () => addUser(command, host));
    case "start":
      return await withLog(command.config.verbosity, host, (log) => start(command, log, host));
    case "call":
      return await withLog(command.verbosity, host, ({ log }) => call(command.call, log, host));
    case "demo":
      return await withLog(command.config.verbosity, host, (log) => demo(command, log, host));
  }
}

/** Errors of the machine (a port is taken, a file cannot be read) are one line; ours keep their stack. */
async function withLog(
  verbosity: Verbosity,
  host: Host,
  run: (log: OpenLog) => Promise<number>,
): Promise<number> {
  const log = openLog({ verbosity });
  try {
    return await run(log);
  } catch (error) {
    const unusable = error instanceof ConfigError;
    if (!(unusable || error instanceof TransportError || error instanceof WireError)) throw error;
    host.complain(maskSecrets(`siprtmp: ${messageOf(error)}`));
    return unusable ? 2 : 1;
  } finally {
    await log.close();
  }
}

function environmentOf(log: Logger): Omit<GatewayEnvironment, "sockets"> {
  return { clock: systemClock, log, random: systemRandom, dns: systemDns };
}

/** Progress goes to standard error, so that standard output is the report alone. */
function trialEnvironment(log: Logger, host: Host): TrialEnvironment {
  return { ...environmentOf(log), onProgress: (text) => host.complain(`  ... ${text}`) };
}

/** The built-in SIP server comes first: it takes its port, and the gateway the next free one. */
async function openAll(
  { config, sources }: StartCommand | DemoCommand,
  { log, put }: OpenLog,
  host: Host,
): Promise<{ sipd: SipServer | null; gateway: Gateway | Supervisor } & AsyncDisposable> {
  await using opened = new AsyncDisposableStack();
  let started: Gateway | Supervisor | null = null;
  host.onReload(async () => { // first: a SIGHUP ends programs that do not expect it
    logChanges(sources, host.readFile, log);
    await started?.reload();
  });
  const calls = new CallRegistry(environmentOf(log));
  const codecs = await openCodecs(log, host.build);
  const alone = workersOf(config.workers) === 1;
  const sockets = opened.use(openSockets(alone ? config.sockets : "deno"));
  host.giveUp(notNeeded(config, alone));
  const environment = { ...environmentOf(log), calls, codecs, sockets };
  const guard = new TargetPolicy(config.entrance.targets);
  const sipd = config.sipd === null ? null : opened.use(
    await SipServer.start(config.sipd, { ...environment, guard, timeouts: config.rtp.timeouts }),
  );
  const beside = besideSipServer(config, sipd?.address.port);
  const gateway = opened.use(
    alone
      ? await Gateway.start(beside, environment)
      : await Supervisor.start(beside, sources, { ...environmentOf(log), calls, putLine: put }),
  );
  started = gateway;
  const owner = opened.move();
  return { sipd, gateway, [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose]() };
}

/** With workers the one for system calls stays: threads share permissions, and one that crashed opens the library anew. */
function notNeeded({ rtmp, sockets }: Config, alone: boolean): Permission[] {
  const unused: Permission[] = rtmp.record ? [] : ["write"];
  return alone || sockets === "deno" ? [...unused, "ffi"] : unused;
}

/** SIGHUP reads files that settings name, not the settings themselves: what has changed there needs a restart. */
export function logChanges({ file }: ConfigSources, readFile: ReadFile, log: Logger): void {
  if (file === undefined) return;
  try {
    const changed = changedSettings(file, { ...file, text: loadText(file.name, readFile) }, settings);
    if (changed.length > 0) log.warn(`${file.name} has changed, restart to apply: ${changed.join(", ")}`);
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof UnreadableFile)) throw error;
    log.error(`${messageOf(error).split("\n", 1)[0]}; a restart would fail`);
  }
}

/** Nobody asked for the gateway's SIP port, and the server just took it: no reason to warn that it is taken. */
export function besideSipServer(config: Config, sipdPort: number | undefined): Config {
  if (sipdPort === undefined) return config;
  const { sip, entrance } = config;
  const open = [...entrance.targets.open, ...loopbackPlaces(sipdPort)];
  const beside = { ...config, entrance: { ...entrance, targets: { ...entrance.targets, open } } };
  if (!sip.portFallback || sip.port !== sipdPort) return beside;
  return { ...beside, sip: { ...sip, port: sipdPort + 1 } };
}

/** What was not built is said once; the gateway works without. */
async function openCodecs(log: Logger, build: Build): Promise<Codecs> {
  const codecs = await loadCodecs();
  if (codecs.transcodable.size === 0) {
    log.warn(`codec modules are missing, audio only passes through as it is: ${codecAdvice(build)}`);
  } else if (codecs.missing.length > 0) {
    log.warn(`codec modules are missing (${codecs.missing.join(", ")}): ${codecAdvice(build)}`);
  }
  return codecs;
}

async function start(command: StartCommand, log: OpenLog, host: Host): Promise<number> {
  await using _running = await openAll(command, log, host);
  host.started();
  await aborted(host.stop);
  log.log.info("stopping: ending calls and registrations");
  return 0;
}

async function call(options: TrialOptions, log: Logger, host: Host): Promise<number> {
  const { destination, url } = options;
  host.giveUp(options.record === null ? ["ffi", "write"] : ["ffi"]);
  host.started();
  host.print(maskSecrets(`calling ${destination} through ${url.split("?", 1)[0]!} ...`));
  const report = await runTrialCall(options, trialEnvironment(log, host), host.stop);
  return printReport(report, host);
}

async function demo(command: DemoCommand, log: OpenLog, host: Host): Promise<number> {
  await using running = await openAll(command, log, host);
  host.started();
  const { gateway, sipd } = running;
  if (sipd === null) throw new Error("the demo was started without its SIP server");
  const addresses = demoAddresses(gateway.rtmp, sipd.address, commandPrefix(host.build));
  host.print(
    `calling echo: RTMP client -> gateway -> SIP server -> echo and back, ${command.durationSeconds} s`,
  );
  const report = await runTrialCall(
    {
      url: addresses.url,
      destination: "echo",
      login: "demo",
      password: "demo",
      displayName: "Demo",
      source: { kind: "sample", codec: command.codec, durationSeconds: command.durationSeconds },
      record: null,
    },
    environmentOf(log.log),
    host.stop,
  );
  const exitCode = printReport(report, host);
  if (!command.stay || exitCode !== 0 || host.stop.aborted) return exitCode;
  host.print(addresses.text);
  await aborted(host.stop);
  return 0;
}

async function loadedCodecs(): Promise<CodecNames> {
  const { transcodable, missing } = await loadCodecs();
  return { transcodable: [...transcodable], missing };
}

/** Says nothing when all is well. */
async function health({ url }: HealthCommand, host: Host): Promise<number> {
  host.giveUp(["ffi", "write"]);
  await checkHealth(url, { clock: systemClock, random: systemRandom });
  return 0;
}

async function addUser({ path, user }: AddUserCommand, host: Host): Promise<number> {
  host.giveUp(["ffi", "net"]);
  const text = readIfThere(path, host.readFile);
  const password = await host.readPassword();
  const changed = await withUser({ name: path, text }, { user, password }, systemRandom);
  try {
    await host.replaceFile(path, changed);
  } catch (error) {
    throw new TransportError(`cannot write ${path}: ${messageOf(error)}`, "failed", { cause: error });
  }
  return 0;
}

/** Empty when there is no such file yet. */
function readIfThere(path: string, readFile: ReadFile): string {
  try {
    return readFile(path);
  } catch (error) {
    if (error instanceof Error && error.name === "NotFound") return "";
    throw new TransportError(`cannot read ${path}: ${messageOf(error)}`, "failed", { cause: error });
  }
}

function printReport(report: TrialReport, host: Host): number {
  host.print(maskSecrets(formatTrialReport(report)));
  return judge(report.outcome).good ? 0 : 1;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Where the demo's client connects, and what to print when the first call is over. */
export interface DemoAddresses {
  /** The first call's RTMP URL. */
  readonly url: string;
  /** What to print afterwards. */
  readonly text: string;
}

export function demoAddresses(rtmp: Endpoint, sipd: Endpoint, prefix: string): DemoAddresses {
  const gateway = formatEndpoint({
    ...rtmp,
    hostname: isUnspecified(rtmp.hostname) ? "127.0.0.1" : rtmp.hostname,
  });
  const domain = formatEndpoint(sipd);
  // ffmpeg takes a colon in the path for the start of a stream name; percent-encoded it stays in the address.
  const encoded = domain.replaceAll(":", "%3A");
  const dialled = (user: string, number: string, stream: string) =>
    `"rtmp://${gateway}/sip/${user}@${encoded}?dial=${number}/${stream}"`;
  return {
    url: `rtmp://${gateway}/sip/demo@${domain}`,
    text: [
      "",
      "Still running. Try, from another terminal:",
      "",
      `  ${prefix} call rtmp://${gateway}/sip/me@${domain} echo`,
      `  ${prefix} call rtmp://${gateway}/sip/me@${domain} echo --codec pcmu`,
      "",
      "Hear a tone with ffplay, send one with ffmpeg (G.711; the remote party is dialled by the URL):",
      "",
      `  ffplay -nodisp ${dialled("ear", "tone", "remote")}`,
      `  ffmpeg -re -f lavfi -i sine=440 -c:a pcm_mulaw -ar 8000 -ac 1 -f flv ${
        dialled("mouth", "echo", "local")
      }`,
      "",
      `SIP phones register at ${domain}, any user, any password; numbers: echo, tone, and each other.`,
      "Ctrl-C ends it.",
    ].join("\n"),
  };
}

/** The whole report as text without a final line end. */
export function formatTrialReport(report: TrialReport): string {
  const names = { client: "RTMP client", gateway: "gateway", sip: "SIP side" };
  const lines = formatLadder(report.steps, names);
  const { outcome } = report;
  const figures = outcome.type === "completed" || outcome.type === "cut" ? formatFigures(outcome.echo) : [];
  const setUp = report.setUpMs === null ? [] : [`call set-up    ${report.setUpMs.toFixed(0)} ms`];
  return [...lines, "", ...setUp, ...figures, "", judge(outcome).text].join("\n");
}

function formatFigures(echo: EchoReport): string[] {
  const lost = Math.max(0, echo.sent - echo.matched);
  const lossText = echo.matched === 0 && echo.returned > 0
    ? "cannot be told: what came back is not what was sent"
    : `${lost} of ${echo.sent} (${echo.sent === 0 ? "0.0" : (100 * lost / echo.sent).toFixed(1)} %)`;
  const trip = echo.roundTripMs;
  return [
    `packets        ${echo.sent} sent, ${echo.returned} returned, ${echo.matched} of them as sent`,
    `bytes          ${echo.sentBytes} sent, ${echo.returnedBytes} returned`,
    `lost           ${lossText}`,
    ...(trip === null
      ? []
      : [`round trip     ${trip.median.toFixed(1)} ms (${trip.min.toFixed(1)} to ${trip.max.toFixed(1)})`]),
    `longest gap    ${echo.longestGapMs.toFixed(0)} ms between returned packets`,
  ];
}
