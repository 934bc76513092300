// The house rules as a program: import graph, roles, where the runtime may be named, tests, sizes.
// `deno run --allow-read scripts/check_layers.ts [root]` prints a line per violation and exits 1.
// The rules themselves are explained in docs/architecture.md.
// Role: edge

import { type StrippedSource, stripSource } from "./strip_source.ts";

/** The files of a project: path from the root, with slashes, to text. */
export type SourceTree = ReadonlyMap<string, string>;

/** Of code: comments and blank lines are not counted. */
const MAX_CODE_LINES = 350;

/** Of the comment at the top, besides its role. */
const MAX_HEADER_LINES = 3;

const SIP = ["sip/message", "sip/transaction", "sip/transport", "sip/ua"] as const;

const PROTOCOLS = [
  "base",
  "net",
  "net/linux",
  "amf",
  "rtmp",
  ...SIP,
  "sdp",
  "rtp",
  "media",
  "flv",
  "codecs",
  "codecs/h264",
] as const;

/** What stands before the RTMP side of the gateway. */
const ENTRANCE = ["rtmp/tunnel", "gateway/access"] as const;

/** What joins the sides. */
const JOINED = ["live", "config", "call"] as const;

/** Which folders of lib each folder may import, besides itself. A folder within a folder has a row of its own. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "base": [],
  "net": ["base", "net/linux"],
  "net/linux": ["base", "net"],
  "amf": ["base"],
  "rtmp": ["base", "net", "amf", "media"],
  "rtmp/tunnel": ["base", "net"],
  "gateway/access": ["base", "net"],
  "sip/message": ["base", "net"],
  "sip/transaction": ["base", "net", "sip/message"],
  "sip/transport": ["base", "net", "sip/message", "sip/transaction"],
  "sip/ua": ["base", "net", "sip/message", "sip/transaction", "sip/transport"],
  "sdp": ["base"],
  "rtp": ["base", "net"],
  "media": ["base"],
  "flv": ["base", "amf", "media"],
  "codecs": ["base", "media", "sdp", "codecs/h264"],
  "codecs/h264": ["base", "media"],
  "live": ["base", "amf", "rtmp", "media", "flv", "codecs/h264"],
  "config": ["base", "net", "rtmp", "rtp", "gateway/access", ...SIP, "live", "codecs"],
  "call": [...PROTOCOLS, "gateway/access", "live", "config"],
  "gateway": [...PROTOCOLS, ...ENTRANCE, ...JOINED, "gateway/apps"],
  "gateway/apps": [...PROTOCOLS, ...ENTRANCE, ...JOINED, "gateway"],
  "workers": [...PROTOCOLS, ...ENTRANCE, "config", "call", "gateway"],
  "tools/sipd": [...PROTOCOLS, "config", "call"],
  "tools/trial": PROTOCOLS,
  "app": [...PROTOCOLS, ...ENTRANCE, ...JOINED, "gateway", "workers", "tools/sipd", "tools/trial"],
  "main.ts": ["app", "base"],
};

/** Words of our own that the field has a better one for (docs/glossary.md); as words of names and of text. */
const RETIRED_WORDS: readonly (readonly [RegExp, string])[] = [
  [/\bfar[ _-]ends?\b|farend/i, "remote party"],
  [/\bother[ _-]?sides?\b/i, "remote party or peer"],
  [/stranger/i, "unknown source"],
  [/touch[ _-]?tone/i, "DTMF"],
  [/front[ _-]?door/i, "listener"],
  [/media[ _-]?room|call[ _-]?room/i, "call media pool, call admission"],
  [/tenanc(?:y|ies)/i, "address registry"],
  [/line[ _-]?owner/i, "call leg"],
  [/worker[ _-]?desk/i, "worker handle"],
  [/\bglance\b|Glance\b/, "peek"],
  [/surroundings\b/i, "deps"],
  [/shake[ _-]?hands/i, "handshake"],
  [/neighbours?(?!ing)/i, "worker events, or adjacent"],
  [/home[ _-]?door/i, "relay"],
  [/trouble[ _-]?book|line[ _-]?trouble/i, "media warnings"],
  [/turned[ _-]?away/i, "rejected"],
];

/** Where the retired words are listed and tested, or siprtmp's are. */
const NAMES_RETIRED_WORDS = new Set([
  "scripts/check_layers.ts",
  "tests/scripts/check_layers_test.ts",
  "docs/glossary.md",
  "docs/from-siprtmp.md",
]);

/** Packages and built-in modules, and the only files that may import them. */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  "node:crypto": /^lib\/(?:sip\/ua\/digest|rtmp\/handshake|net\/tls_pem)\.ts$/,
  "node:dns": /^lib\/net\/dns\.ts$/,
  "node:tls": /^lib\/net\/tls\w*\.ts$/,
  "node:net": /^lib\/net\/tls\w*\.ts$/,
  "node:v8": /^main\.ts$/,
  "node:worker_threads": /^lib\/workers\/worker_(?:handle|main)\.ts$/,
  "@logtape/logtape": /^lib\/base\/log\.ts$/,
  "zod": /^lib\/config\/setting\.ts$/,
  "commander": /^lib\/(?:config\/config\w*|app\/\w+)\.ts$/,
  "smol-toml": /^lib\/(?:config\/config\w*|app\/\w+)\.ts$/,
  "sdp-transform": /^lib\/sdp\/description\.ts$/,
};

const MAY_NAME_DENO =
  /^(?:main\.ts|lib\/net\/(?:linux\/)?\w+\.ts|lib\/flv\/disk\.ts|lib\/base\/log\.ts|lib\/codecs\/load\.ts)$/;

/** The one file of lib that sets timers; everybody else takes a Clock. */
const CLOCK_FILE = "lib/base/clock.ts";

const TIMERS = /\b(?:setTimeout|setInterval)\b|\bAbortSignal\s*\.\s*timeout\b/;

/** What a role forbids: pattern and the words of the complaint. */
const NOT_IN_MACHINES: readonly (readonly [RegExp, string])[] = [
  [/\bawait\b/, "await"],
  [/\basync\b/, "async"],
  [/\bqueueMicrotask\b/, "queueMicrotask"],
  [/\bDate\.now\b|\bnew Date\s*(?:\(\s*\)|(?![\s(\w]))|\bperformance\s*\./, "the time of day"],
];

/** What no file of lib may do, whatever its role. */
const NOT_IN_LIB: readonly (readonly [RegExp, string])[] = [
  [/\bMath\.random\b/, "Math.random: take a Random (lib/base/random.ts)"],
  [/\bexport\s+default\b|\bas\s+default\b/, "a default export"],
  [/\bcatch\s*\{/, "a bare catch: narrow the error or throw it again"],
];

/** A file without any of these holds types only. */
const CODE = /\b(?:function|class|const|let|await)\b|;\s*\w+\(/;

/** All violations, sorted, each as "path: what is wrong". */
export function checkLayers(tree: SourceTree): string[] {
  const problems: string[] = [];
  const imports = new Map<string, string[]>();
  const withCode = new Set<string>();
  for (const [path, text] of tree) {
    const complain = (what: string): void => void problems.push(`${path}: ${what}`);
    checkWords(path, text, complain);
    if (!isChecked(path)) continue;
    const source = stripSource(text);
    imports.set(path, checkImports(path, source.withStrings, tree, complain));
    checkText(path, text, source, complain);
    if (CODE.test(source.codeOnly)) withCode.add(path);
  }
  problems.push(...findCycles(imports), ...findUntested(tree, imports, withCode));
  return problems.sort();
}

type Complain = (what: string) => void;

/** Of a test its path and titles, of everything else the whole text. */
function checkWords(path: string, text: string, complain: Complain): void {
  if (NAMES_RETIRED_WORDS.has(path)) return;
  checkPatterns(path, RETIRED_WORDS, "is named by what is called", complain);
  const read = path.startsWith("tests/") ? titlesOnly(text) : text;
  checkPatterns(read, RETIRED_WORDS, "says what is called", complain);
}

/** The titles of tests and their steps, on the lines where they stand. */
function titlesOnly(text: string): string {
  const title = /\b(?:Deno\.test|\.step)\(\s*(?:\{\s*name:\s*)?(["'`])(?:\\.|(?!\1)[^\\])*\1/gs;
  let read = "";
  for (const { 0: found, index } of text.matchAll(title)) {
    read += "\n".repeat(linesOf(text.slice(0, index)) - linesOf(read)) + found;
  }
  return read;
}

function linesOf(text: string): number {
  return text.split("\n").length;
}

/** Tests and scripts may import what they like. */
function isChecked(path: string): boolean {
  return path === "main.ts" || path.startsWith("lib/") && path.endsWith(".ts");
}

/** Checks each import and gives the files of this project that are imported. */
function checkImports(path: string, text: string, tree: SourceTree, complain: Complain): string[] {
  const files: string[] = [];
  for (const target of importedNames(text)) {
    if (!target.startsWith(".")) {
      checkPackage(path, target, complain);
      continue;
    }
    const file = resolvePath(path, target);
    if (!tree.has(file)) complain(`imports ${target}, which does not exist`);
    else if (checkFolder(path, file, complain)) files.push(file);
  }
  return files;
}

function importedNames(text: string): string[] {
  const names: string[] = [];
  const pattern =
    /(?:^|[;}\n])[ \t]*(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"']+)["']|(?:^|[;}\n])[ \t]*import\s*["']([^"']+)["']|\bimport\s*\(\s*["']([^"']+)["']/g;
  for (const match of text.matchAll(pattern)) names.push(match[1] ?? match[2] ?? match[3]!);
  return names;
}

function checkPackage(path: string, name: string, complain: Complain): void {
  const allowed = PACKAGES[name];
  if (allowed === undefined) complain(`imports ${name}, which is not in the list of packages`);
  else if (!allowed.test(path)) complain(`imports ${name}, which only ${allowed.source} may`);
}

function checkFolder(path: string, file: string, complain: Complain): boolean {
  const from = folderOf(path);
  const to = folderOf(file);
  const allowed = MAY_IMPORT[from];
  if (allowed === undefined) complain(`is in ${from}, a folder the layers do not know`);
  else if (to === "") complain(`imports ${file}, which is not in lib`);
  else if (from !== to && !allowed.includes(to)) complain(`imports ${file}: ${from} may not import ${to}`);
  return to !== "";
}

/** "sip/ua" for lib/sip/ua/call.ts, "main.ts" for itself, "" for what lies outside lib. */
function folderOf(path: string): string {
  if (path === "main.ts") return path;
  return /^lib\/(.+)\/[^/]+$/s.exec(path)?.[1] ?? "";
}

function resolvePath(from: string, relative: string): string {
  return new URL(relative, `file:///${from}`).pathname.slice(1);
}

function checkText(path: string, text: string, source: StrippedSource, complain: Complain): void {
  const lines = source.withStrings.split("\n").filter((line) => line.trim() !== "").length;
  if (lines > MAX_CODE_LINES) complain(`has ${lines} lines of code, ${MAX_CODE_LINES} are the limit`);
  checkPatterns(source.codeOnly, NOT_IN_LIB, "has", complain);
  if (path.startsWith("lib/") && path !== CLOCK_FILE) {
    checkPatterns(source.codeOnly, [[TIMERS, "timers: take a Clock"]], "has", complain);
  }
  if (/\bDeno\b/.test(source.codeOnly) && !MAY_NAME_DENO.test(path)) complain("names Deno: only lib/net may");
  checkRole(text, source.codeOnly, complain);
}

function checkRole(text: string, code: string, complain: Complain): void {
  const header = /^(?:\/\/[^\n]*\n)*/.exec(text)?.[0] ?? "";
  const lines = header.split("\n").filter((line) => line !== "" && !/^\/\/ Role: \w+$/.test(line)).length;
  if (lines > MAX_HEADER_LINES) complain(`has a header of ${lines} lines, ${MAX_HEADER_LINES} are the limit`);
  const roles = [...header.matchAll(/\bRole: (\w+)/g)].map((match) => match[1]!);
  if (roles.length !== 1 || !["wire", "machine", "edge"].includes(roles[0]!)) {
    complain("has no header with exactly one of Role: wire, Role: machine, Role: edge");
    return;
  }
  if (roles[0] !== "edge") checkPatterns(code, NOT_IN_MACHINES, `is a ${roles[0]} and uses`, complain);
}

function checkPatterns(
  code: string,
  patterns: readonly (readonly [RegExp, string])[],
  verb: string,
  complain: Complain,
): void {
  for (const [pattern, words] of patterns) {
    const match = pattern.exec(code);
    if (match === null) continue;
    const line = linesOf(code.slice(0, match.index));
    complain(`${verb} ${words} (line ${line})`);
  }
}

/** What is tested by its name: what other folders import, and every wire format and machine; not types alone. */
function findUntested(
  tree: SourceTree,
  imports: ReadonlyMap<string, readonly string[]>,
  withCode: ReadonlySet<string>,
): string[] {
  const shown = new Set<string>();
  for (const [path, files] of imports) {
    for (const file of files) if (folderOf(file) !== folderOf(path)) shown.add(file);
  }
  const found: string[] = [];
  for (const path of withCode) {
    const test = path.replace(/^lib\//, "tests/").replace(/\.ts$/, "_test.ts");
    if (!path.startsWith("lib/") || tree.has(test)) continue;
    const isWireOrMachine = /^(?:\/\/[^\n]*\n)*\/\/[^\n]*\bRole: (?:wire|machine)\b/.test(tree.get(path)!);
    if (shown.has(path) || isWireOrMachine) found.push(`${path}: has no test: ${test} is missing`);
  }
  return found;
}

/** One line per cycle, from its first file by name. */
function findCycles(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const found = new Set<string>();
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const at = trail.indexOf(path);
    if (at >= 0) found.add(describeCycle(trail.slice(at)));
    if (at >= 0 || done.has(path)) return;
    trail.push(path);
    for (const next of imports.get(path) ?? []) visit(next);
    trail.pop();
    done.add(path);
  };
  for (const path of imports.keys()) visit(path);
  return [...found];
}

function describeCycle(cycle: readonly string[]): string {
  const first = cycle.indexOf([...cycle].sort()[0]!);
  const ordered = [...cycle.slice(first), ...cycle.slice(0, first)];
  return `${ordered[0]}: is part of an import cycle: ${[...ordered, ordered[0]].join(" -> ")}`;
}

/** Reads main.ts, the TypeScript files below lib, tests, scripts and bench, and the documents below docs. */
export async function readTree(root: string): Promise<SourceTree> {
  const tree = new Map<string, string>();
  for (const folder of ["lib", "tests", "scripts", "bench", "docs"]) await readFolder(root, folder, tree);
  const main = await Deno.readTextFile(`${root}/main.ts`).catch(absentText);
  if (main !== null) tree.set("main.ts", main);
  return tree;
}

async function readFolder(root: string, folder: string, tree: Map<string, string>): Promise<void> {
  for await (const entry of Deno.readDir(`${root}/${folder}`)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) await readFolder(root, path, tree);
    else if (/\.(?:ts|md)$/.test(entry.name)) tree.set(path, await Deno.readTextFile(`${root}/${path}`));
  }
}

function absentText(error: unknown): null {
  if (error instanceof Deno.errors.NotFound) return null;
  throw error;
}

if (import.meta.main) {
  const tree = await readTree(Deno.args[0] ?? ".");
  const problems = checkLayers(tree);
  const summary = problems.length === 0
    ? [`${[...tree.keys()].filter(isChecked).length} files keep the house rules`]
    : [...problems, `${problems.length} violations of the house rules`];
  await Deno.stdout.write(new TextEncoder().encode(summary.join("\n") + "\n"));
  if (problems.length > 0) Deno.exit(1);
}
