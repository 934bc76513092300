// The command line, read into one value. Nothing here exits, prints, or touches the machine: what to print and the exit code
// are part of the value, and the one file that may be read is read through the function passed in.
// Role: wire

import { Command, CommanderError, Option, type OutputConfiguration } from "commander";
import { ConfigError, messageOf } from "../base/errors.ts";
import { maskSecrets } from "../base/mask_secrets.ts";
import { nearest } from "../config/config_table.ts";
import { buildConfig, type Config, type ConfigSources, type Verbosity } from "../config/config.ts";
import { DEFAULT_SIP_PORT } from "../config/setting_values.ts";
import { defaultText, type Rows, type Setting } from "../config/setting.ts";
import { type PartialSettings, settings } from "../config/settings.ts";
import type { TrialCodec, TrialOptions } from "../tools/trial/trial_call.ts";

export type ParsedCommand =
  | StartCommand
  | CallCommand
  | DemoCommand
  | AddUserCommand
  | HealthCommand
  | PrintCommand
  | { readonly type: "version" | "licences" | "codecs" };

export interface StartCommand {
  readonly type: "start";
  readonly config: Config;
  /** What that was read from: workers read it again. */
  readonly sources: ConfigSources;
}

interface CallCommand {
  readonly type: "call";
  readonly call: TrialOptions;
  readonly verbosity: Verbosity;
}

/** Run the gateway with its SIP server and make one call through it. */
export interface DemoCommand {
  readonly type: "demo";
  /** How to run the gateway; its `sipd` is never null. */
  readonly config: Config;
  /** What that was read from: workers read it again. */
  readonly sources: ConfigSources;
  readonly codec: TrialCodec;
  /** Length of the sample call, in seconds. */
  readonly durationSeconds: number;
  /** False: end after the call. */
  readonly stay: boolean;
}

export interface AddUserCommand {
  readonly type: "add user";
  /** The users file; it need not exist yet. */
  readonly path: string;
  readonly user: string;
}

export interface HealthCommand {
  readonly type: "health";
  /** Of the gateway that is asked. */
  readonly url: string;
}

/** Print and leave: help, or what is wrong. */
interface PrintCommand {
  readonly type: "print";
  /** Without a final line end; for standard output when exitCode is 0, else for standard error. */
  readonly text: string;
  /** 0 asked for, 1 the configuration file cannot be read, 2 a wrong option or setting. */
  readonly exitCode: 0 | 1 | 2;
}

/** Reads a text file; throws when it cannot. */
export type ReadFile = (path: string) => string;

/** Reads the command line (without the program's name). Never throws for what a person can mistype. */
export function parseArguments(
  args: readonly string[],
  readFile: ReadFile,
  rows: Rows = settings,
): ParsedCommand {
  const written: string[] = [];
  const found: ParsedCommand[] = [];
  const program = createProgram(
    { write: (text) => written.push(text), readFile, rows },
    (command) => found.push(command),
  );
  try {
    program.parse(args, { from: "user" });
  } catch (error) {
    return explain(error, written, args);
  }
  return found[0] ?? failure("there is nothing to do", 2);
}

/** The file named by --config cannot be read. */
export class UnreadableFile extends Error {}

/** The demo is for this machine only, unless its user says otherwise. */
const DEMO_PRESETS: PartialSettings = {
  host: "127.0.0.1",
  "int-ip": "127.0.0.1",
  sipd: { listen: { hostname: "127.0.0.1", port: DEFAULT_SIP_PORT }, portFallback: true },
};

type Write = (text: string) => void;
type Done = (command: ParsedCommand) => void;

interface Reading {
  readonly write: Write;
  readonly readFile: ReadFile;
  readonly rows: Rows;
}

function createProgram(reading: Reading, done: Done): Command {
  const program = new Command("siprtmp")
    .description("SIP-RTMP gateway: connects RTMP clients to SIP phones.")
    .exitOverride()
    .configureOutput(outputTo(reading.write))
    .enablePositionalOptions()
    .allowExcessArguments(false)
    .option("--version", "print version, build, runtime and codecs")
    .option("--licences", "print the licences of everything in this program")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .action((values: OptionValues) => done(readDefault(values, reading)));
  addSettings(program, reading.rows);
  const start = program.command("start").description("run the gateway (default)");
  addSettings(start, reading.rows).action((values: OptionValues) =>
    done(readStart({ ...program.opts(), ...values }, reading))
  );
  addCall(program, done);
  addDemo(program, reading, done);
  addUsers(program, done);
  addCodecs(program, done);
  program.command("health")
    .description("ask a gateway for an RTMP handshake: exit code 0 when it answers")
    .argument("[url]", "RTMP URL of the gateway", "rtmp://127.0.0.1:1935")
    .action((url: string) => done({ type: "health", url }));
  return program;
}

/** Terminal width and colours are fixed, so that no environment variable is looked at. */
function outputTo(write: Write): OutputConfiguration {
  return {
    writeOut: write,
    writeErr: write,
    getOutHelpWidth: () => 100,
    getErrHelpWidth: () => 100,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  };
}

function addSettings(command: Command, rows: Rows, presets: Readonly<Record<string, unknown>> = {}): Command {
  for (const [name, row] of Object.entries(rows)) {
    if (row.value !== "") {
      command.addOption(optionOf(name, { ...row, default: presets[name] ?? row.default }));
    }
  }
  return command.option("--config <file>", "TOML config file; keys as the options, without dashes");
}

function optionOf(name: string, row: Setting): Option {
  const short = row.short === null ? "" : `-${row.short}, `;
  const value = row.value === null ? "" : ` ${row.value}`;
  const told = row.value === null ? null : defaultText(row);
  const reload = row.reload ? "; read again on SIGHUP" : "";
  return new Option(
    `${short}--${name}${value}`,
    `${row.help}${reload}${told === null ? "" : ` (default: ${told})`}`,
  ).helpGroup(row.group === null ? "Options:" : `${row.group}:`);
}

function addCall(program: Command, done: Done): void {
  program.command("call")
    .description("place one call as an RTMP client and print a report")
    .argument("<url>", "RTMP URL of the gateway, e.g. rtmp://localhost/sip/alice@localhost")
    .argument("<sip-address>", "SIP address to call, e.g. echo@localhost")
    .option("--file <flv>", "FLV file to send (default: built-in sample)")
    .option("--record <flv>", "FLV file to record received media to")
    .option("--codec <name>", `audio codec to offer: ${callCodecs.join(", ")} (default: ${DEFAULT_CODEC})`)
    .option(
      "--duration <seconds>",
      `call duration (default: that of the file, or ${DEFAULT_DURATION_SECONDS})`,
    )
    .option("--login <name>", "SIP user name (default: user of the URL)")
    .option("--password <text>", "SIP password; without it the gateway does not register")
    .option("--name <text>", "display name")
    .option("-d, --verbose", "log RTMP commands")
    .option("-D, --verbose-all", "log every RTMP message")
    .action((url: string, address: string, values: OptionValues) => {
      refuseEarlierOptions(program, "call");
      done({ type: "call", call: readCallOptions(url, address, values), verbosity: verbosityOf(values) });
    });
}

function addDemo(program: Command, reading: Reading, done: Done): void {
  const demo = program.command("demo")
    .description("run gateway and built-in SIP server, place one call through them");
  addSettings(demo, reading.rows, DEMO_PRESETS)
    .option("--codec <name>", `audio codec of the call: ${callCodecs.join(", ")} (default: ${DEFAULT_CODEC})`)
    .option("--duration <seconds>", `call duration (default: ${DEFAULT_DURATION_SECONDS})`)
    .option("--once", "exit after the call")
    .action((values: OptionValues) => {
      refuseEarlierOptions(program, "demo");
      done(readDemo(values, reading));
    });
}

function addCodecs(program: Command, done: Done): void {
  program.command("codecs")
    .description("code a fixed signal with every codec; equal sums on two machines mean equal sound")
    .action(() => done({ type: "codecs" }));
}

/** The password is asked for, or read from standard input: a command line is seen by every user of the machine. */
function addUsers(program: Command, done: Done): void {
  program.command("user").description("RTMP users of --rtmp-users")
    .command("add").description("add a user, or give one a new password; it is read from standard input")
    .argument("<users-file>", "file of --rtmp-users; made when it is not there")
    .argument("<name>", "user name")
    .action((path: string, user: string) => {
      refuseEarlierOptions(program, "user add");
      done({ type: "add user", path, user });
    });
}

function readDefault(values: OptionValues, reading: Reading): ParsedCommand {
  if (values.version === true) return { type: "version" };
  if (values.licences === true) return { type: "licences" };
  return readStart(values, reading);
}

function readStart(values: OptionValues, reading: Reading): StartCommand {
  const sources = sourcesOf(values, reading);
  return { type: "start", config: buildConfig(sources, reading.rows), sources };
}

function readDemo(values: OptionValues, reading: Reading): DemoCommand {
  const sources = { ...sourcesOf(values, reading), presets: DEMO_PRESETS };
  const config = buildConfig(sources, reading.rows);
  if (config.sipd === null) throw new ConfigError("the demo needs its SIP server: leave out sipd = false");
  const { codec, durationSeconds } = readSample(values);
  return { type: "demo", config, sources, codec, durationSeconds, stay: values.once !== true };
}

function sourcesOf(values: OptionValues, { readFile, rows }: Reading): ConfigSources {
  const flags: Record<string, string | boolean> = {};
  for (const name of Object.keys(rows)) {
    const value = values[new Option(`--${name}`).attributeName()];
    if (typeof value === "string" || typeof value === "boolean") flags[name] = value;
  }
  const name = values.config;
  if (typeof name !== "string") return { flags };
  return { flags, file: { name, text: loadText(name, readFile) } };
}

/** @throws UnreadableFile in words for the person */
export function loadText(path: string, readFile: ReadFile): string {
  try {
    return readFile(path);
  } catch (error) {
    const known = error instanceof Error ? FILE_FAULTS.get(error.name) : undefined;
    throw new UnreadableFile(`cannot read ${path}: ${known ?? messageOf(error)}`, { cause: error });
  }
}

const FILE_FAULTS: ReadonlyMap<string, string> = new Map([
  ["NotFound", "there is no such file"],
  ["PermissionDenied", "permission denied"],
  ["NotCapable", "this program was started without the permission to read it"],
  ["IsADirectory", "it is a folder"],
]);

function verbosityOf(values: OptionValues): Verbosity {
  return values.verboseAll === true ? "trace" : values.verbose === true ? "debug" : "normal";
}

function refuseEarlierOptions(program: Command, name: string): void {
  if (Object.keys(program.opts()).length > 0) {
    throw new ConfigError(`options go after the command: siprtmp ${name} ...`);
  }
}

function explain(error: unknown, written: readonly string[], args: readonly string[]): PrintCommand {
  if (error instanceof UnreadableFile) return failure(error.message, 1);
  if (error instanceof ConfigError) return failure(error.message, 2);
  if (!(error instanceof CommanderError)) throw error;
  if (error.exitCode === 0) return { type: "print", text: written.join("").trimEnd(), exitCode: 0 };
  if (error.code === "commander.excessArguments") return failure(excessText(args), 2);
  // The command of a command is missing.
  if (error.code === "commander.help" && args[0] === "user") return failure(written.join("").trimEnd(), 2);
  const text = messageOf(error).replace(/^error: /, "").replace(/\.$/, "");
  return failure(error.code === "commander.unknownOption" ? withoutValue(text) : text, 2);
}

/** Of an unknown option the name alone: a mistyped --password=... has its value in the same word. */
function withoutValue(text: string): string {
  const [name = ""] = /-{1,2}[\w-]*/.exec(text) ?? [];
  const [advice = ""] = / \(Did you mean (?:one of )?--[\w-]{1,64}(?:, --[\w-]{1,64}){0,9}\?\)$/.exec(text) ??
    [];
  return `unknown option '${name}'${advice}`;
}

/** The first word that nothing takes: most likely a mistyped command. */
function excessText(args: readonly string[]): string {
  const word = args.find((arg) => !arg.startsWith("-")) ?? "";
  const command = nearest(word, ["start", "call", "demo", "user", "codecs", "health", "help"]);
  if (command === null || command === word) return `too many words on the command line; see siprtmp --help`;
  return `there is no command ${word} (Did you mean ${command}?)`;
}

function failure(text: string, exitCode: 1 | 2): PrintCommand {
  return { type: "print", text: `siprtmp: ${maskSecrets(text)}`, exitCode };
}

/** Speex 16 kHz, Speex 8 kHz, G.711 in both laws, in the order of the help. */
const callCodecs: readonly TrialCodec[] = ["speex", "narrowband", "pcmu", "pcma"];

const DEFAULT_CODEC: TrialCodec = "speex";

/** Length of a sample call. */
const DEFAULT_DURATION_SECONDS = 10;

const MAX_DURATION_SECONDS = 86400;

/** Values of options by their names, as the command line gives them. */
type OptionValues = Readonly<Record<string, unknown>>;

/** Checks the words and options of `siprtmp call`. @throws ConfigError in words for the person */
export function readCallOptions(url: string, destination: string, values: OptionValues): TrialOptions {
  return {
    url: checkUrl(url),
    destination: checkDestination(destination),
    source: readSource(values),
    record: textOf(values.record),
    login: textOf(values.login),
    password: textOf(values.password) ?? "",
    displayName: textOf(values.name),
  };
}

/** Checks what a sample call sends and how long. @throws ConfigError in words for the person */
export function readSample(values: OptionValues): { codec: TrialCodec; durationSeconds: number } {
  return {
    codec: readCodec(values.codec) ?? DEFAULT_CODEC,
    durationSeconds: readDuration(values.duration) ?? DEFAULT_DURATION_SECONDS,
  };
}

function readSource(values: OptionValues): TrialOptions["source"] {
  const path = textOf(values.file);
  if (path === null) return { kind: "sample", ...readSample(values) };
  return {
    kind: "file",
    path,
    codec: readCodec(values.codec),
    durationSeconds: readDuration(values.duration),
  };
}

function readCodec(value: unknown): TrialCodec | null {
  const name = textOf(value);
  if (name === null) return null;
  const codec = callCodecs.find((known) => known === name.toLowerCase());
  if (codec === undefined) {
    throw new ConfigError(`--codec must be one of ${callCodecs.join(", ")}, not "${name}"`);
  }
  return codec;
}

function readDuration(value: unknown): number | null {
  const text = textOf(value);
  if (text === null) return null;
  const seconds = /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds > 0 && seconds <= MAX_DURATION_SECONDS) return seconds;
  throw new ConfigError(
    `--duration must be a number of seconds up to ${MAX_DURATION_SECONDS}, not "${text}"`,
  );
}

function checkUrl(text: string): string {
  const example = "rtmp://localhost/sip/alice@localhost";
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.protocol !== "rtmp:" || url.hostname === "" || url.pathname.length < 2) {
    throw new ConfigError(`the URL must look like ${example}, not "${text}"`);
  }
  return text;
}

function checkDestination(text: string): string {
  const trimmed = text.trim();
  if (trimmed === "" || /\p{Cc}/u.test(trimmed)) {
    throw new ConfigError(`the SIP address must look like echo@localhost, not ${JSON.stringify(text)}`);
  }
  return trimmed;
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
