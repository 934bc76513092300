// A small house that keeps every rule; each test breaks one of them.

import assert from "node:assert/strict";
import { checkLayers } from "../../scripts/check_layers.ts";

const HEADER = "// What it is.\n// Role: edge\n";
const WIRE = "// What it is.\n// Role: wire\n";
const MACHINE = "// What it is.\n// Role: machine\n";

/** A good house with the given files put in or replaced; lib files get their tests. */
function check(files: Record<string, string>): string[] {
  const tree = new Map<string, string>([
    ["main.ts", `${HEADER}import { run } from "./lib/app/run.ts";\nrun(Deno.args);\n`],
    ["lib/app/run.ts", `${HEADER}import { call } from "../gateway/call.ts";\nexport const run = call;\n`],
    [
      "lib/gateway/call.ts",
      `${HEADER}import { uri } from "../sip/message/uri.ts";\nexport const call = uri;\n`,
    ],
    [
      "lib/sip/message/uri.ts",
      `${WIRE}import type { B } from "../../base/bytes.ts";\nexport const uri = (b: B) => b;\n`,
    ],
    ["lib/base/bytes.ts", `${WIRE}export type B = Uint8Array;\n`],
    ...Object.entries(files),
  ]);
  for (const path of [...tree.keys()]) {
    if (path.startsWith("lib/")) tree.set(path.replace(/^lib\//, "tests/").replace(/\.ts$/, "_test.ts"), "");
  }
  return checkLayers(tree);
}

Deno.test("a good house has no violations", () => {
  assert.deepEqual(check({}), []);
});

Deno.test("imports go downwards only, siblings do not know each other", () => {
  const table: [path: string, imported: string, problem: string | null][] = [
    ["lib/sip/ua/a.ts", "../../rtmp/b.ts", "sip/ua may not import rtmp"],
    ["lib/sip/transaction/a.ts", "../transport/b.ts", "sip/transaction may not import sip/transport"],
    ["lib/sip/message/a.ts", "../ua/b.ts", "sip/message may not import sip/ua"],
    ["lib/base/a.ts", "../net/b.ts", "base may not import net"],
    ["lib/media/a.ts", "../net/b.ts", "media may not import net"],
    ["lib/sdp/a.ts", "../sip/ua/b.ts", "sdp may not import sip/ua"],
    ["lib/gateway/a.ts", "../app/b.ts", "gateway may not import app"],
    ["lib/gateway/a.ts", "../tools/sipd/b.ts", "gateway may not import tools/sipd"],
    ["lib/tools/trial/a.ts", "../../gateway/b.ts", "tools/trial may not import gateway"],
    ["lib/call/a.ts", "../gateway/b.ts", "call may not import gateway"],
    ["lib/config/a.ts", "../call/b.ts", "config may not import call"],
    ["lib/rtmp/a.ts", "../amf/b.ts", null],
    ["lib/rtp/a.ts", "../net/b.ts", null],
    ["lib/tools/trial/a.ts", "../../rtmp/b.ts", null],
    ["lib/app/a.ts", "../tools/sipd/b.ts", null],
    ["lib/sip/ua/a.ts", "./b.ts", null],
  ];
  for (const [path, imported, problem] of table) {
    const target = new URL(imported, `file:///${path}`).pathname.slice(1);
    const problems = check({
      [path]: `${HEADER}import {\n  x,\n} from "${imported}";\nexport const y = x;\n`,
      [target]: `${HEADER}export const x = 1;\n`,
    });
    assert.deepEqual(problems, problem === null ? [] : [`${path}: imports ${target}: ${problem}`]);
  }
});

Deno.test("every form of import is seen", () => {
  const forms = [
    'import "../../rtmp/b.ts";',
    'import type { X } from "../../rtmp/b.ts";',
    'export * from "../../rtmp/b.ts";',
    'export { x } from "../../rtmp/b.ts";',
    'const x = await import("../../rtmp/b.ts");',
    'type X = import("../../rtmp/b.ts").X;',
    "import x, { y } from '../../rtmp/b.ts';",
  ];
  for (const form of forms) {
    const problems = check({ "lib/sip/ua/a.ts": `${HEADER}${form}\n`, "lib/rtmp/b.ts": HEADER });
    assert.equal(problems.length, 1, form);
  }
});

Deno.test("imports of nothing, of tests, of unknown packages and of packages in the wrong place", () => {
  const table: [path: string, line: string, problem: RegExp | null][] = [
    ["lib/sip/ua/a.ts", 'import "./missing.ts";', /imports \.\/missing\.ts, which does not exist/],
    ["lib/sip/ua/a.ts", 'import "../../../tests/sip/message/uri_test.ts";', /which is not in lib/],
    ["lib/sip/ua/a.ts", 'import "left-pad";', /not in the list of packages/],
    ["lib/sip/ua/a.ts", 'import "npm:zod";', /not in the list of packages/],
    ["lib/sip/ua/a.ts", 'import "node:fs";', /not in the list of packages/],
    ["lib/sip/ua/a.ts", 'import "node:crypto";', /which only .* may/],
    ["lib/sip/ua/digest.ts", 'import "node:crypto";', null],
    ["lib/rtmp/handshake.ts", 'import "node:crypto";', null],
    ["lib/base/log.ts", 'import "@logtape/logtape";', null],
    ["lib/net/a.ts", 'import "@logtape/logtape";', /which only .* may/],
    ["lib/config/config_file.ts", 'import "smol-toml";', null],
    ["lib/sdp/a.ts", 'import "sdp-transform";', /which only .* may/],
  ];
  for (const [path, line, problem] of table) {
    const problems = check({ [path]: `${HEADER}${line}\n` });
    assert.equal(problems.length, problem === null ? 0 : 1, `${path} ${line}: ${problems}`);
    if (problem !== null) assert.match(problems[0]!, problem);
  }
});

Deno.test("a folder the layers do not know is a violation", () => {
  assert.match(
    check({ "lib/utils/a.ts": `${HEADER}import "../base/bytes.ts";\n` }).join("\n"),
    /lib\/utils\/a\.ts: is in utils, a folder the layers do not know/,
  );
});

Deno.test("import cycles are found once, whatever their length", () => {
  const link = (to: string): string => `${HEADER}import "./${to}.ts";\n`;
  assert.deepEqual(
    check({ "lib/sip/ua/a.ts": link("b"), "lib/sip/ua/b.ts": link("c"), "lib/sip/ua/c.ts": link("a") }),
    [
      "lib/sip/ua/a.ts: is part of an import cycle: lib/sip/ua/a.ts -> lib/sip/ua/b.ts -> lib/sip/ua/c.ts -> lib/sip/ua/a.ts",
    ],
  );
  assert.deepEqual(
    check({ "lib/sip/ua/a.ts": link("b"), "lib/sip/ua/b.ts": link("c"), "lib/sip/ua/c.ts": HEADER }),
    [],
  );
  assert.equal(check({ "lib/sip/ua/a.ts": link("a") }).length, 1);
});

Deno.test("each file declares exactly one role, in its header", () => {
  for (
    const text of [
      "export const a = 1;\n",
      "// What it is.\nexport const a = 1; // Role: wire\n",
      "// What it is.\n\n// Role: wire\n",
      "// Role: wire\n// Role: edge\n",
      "// Role: helper\n",
    ]
  ) assert.match(check({ "lib/sip/ua/a.ts": text }).join("\n"), /exactly one of Role/, text);
});

Deno.test("wire and machine files neither wait nor ask for the time; comments and strings may speak of it", () => {
  const table: [line: string, allowed: boolean][] = [
    ["await x;", false],
    ["for await (const x of y) f(x);", false],
    ["export async function f() {}", false],
    ["queueMicrotask(f);", false],
    ["x = Date.now();", false],
    ["x = new Date();", false],
    ["x = new Date;", false],
    ["x = performance.now();", false],
    ["x = new Date(timeMs);", true],
    ["type T = Date | string; x instanceof Date;", true],
    ["// await setTimeout Date.now()", true],
    ['x = "await Date.now()";', true],
    ["x = clock.now(); awaiting = 1;", true],
  ];
  for (const [line, allowed] of table) {
    for (const header of [WIRE, MACHINE]) {
      const problems = check({ "lib/sip/ua/a.ts": `${header}${line}\n` });
      assert.equal(problems.length === 0, allowed, `${line}: ${problems}`);
    }
    assert.deepEqual(check({ "lib/sip/ua/a.ts": `${HEADER}${line}\n` }), [], `edge: ${line}`);
  }
});

Deno.test("the line number of what is wrong is told", () => {
  assert.deepEqual(check({ "lib/sip/ua/a.ts": `${WIRE}/* two\nlines */\nawait x;\n` }), [
    "lib/sip/ua/a.ts: is a wire and uses await (line 5)",
  ]);
});

Deno.test("Deno is named in net, the log, FLV files and main.ts only", () => {
  const line = `${HEADER}Deno.exit(1);\n`;
  assert.deepEqual(check({ "lib/sip/ua/a.ts": line }), ["lib/sip/ua/a.ts: names Deno: only lib/net may"]);
  assert.deepEqual(check({ "lib/flv/a.ts": line }).length, 1);
  for (const path of ["lib/net/a.ts", "lib/flv/disk.ts", "lib/base/log.ts"]) {
    assert.deepEqual(check({ [path]: line }), []);
  }
  assert.deepEqual(check({ "lib/sip/ua/a.ts": `${HEADER}// Deno.exit\nx = "Deno.exit";\n` }), []);
});

Deno.test("timers are set in base/clock.ts and nowhere else", () => {
  for (const line of ["setTimeout(f, 5);", "setInterval(f, 5);", "x = AbortSignal.timeout(5);"]) {
    assert.deepEqual(check({ "lib/sip/ua/a.ts": `${HEADER}${line}\n` }), [
      "lib/sip/ua/a.ts: has timers: take a Clock (line 3)",
    ]);
    assert.deepEqual(check({ "lib/base/clock.ts": `${HEADER}${line}\n` }), []);
  }
  assert.deepEqual(check({ "lib/sip/ua/a.ts": `${HEADER}clearTimeout(id);\n` }), []);
});

Deno.test("no default exports, no bare catch, no Math.random, in any role", () => {
  for (
    const line of [
      "export default class A {}",
      "export { a as default };",
      "try { a(); } catch {}",
      "try { a(); } catch { b(); }",
      "x = Math.random();",
    ]
  ) assert.equal(check({ "lib/sip/ua/a.ts": `${HEADER}${line}\n` }).length, 1, line);
  for (const line of ["try { a(); } catch (error) { b(error); }", "promise.catch((error) => b(error));"]) {
    assert.deepEqual(check({ "lib/sip/ua/a.ts": `${HEADER}${line}\n` }), []);
  }
});

Deno.test("a lib file has at most 350 lines of code; comments and blank lines are free", () => {
  const lines = (count: number): string => HEADER + "x;\n\n// why\n".repeat(count);
  assert.deepEqual(check({ "lib/sip/ua/a.ts": lines(350) }), []);
  assert.deepEqual(check({ "lib/sip/ua/a.ts": lines(351) }), [
    "lib/sip/ua/a.ts: has 351 lines of code, 350 are the limit",
  ]);
});

Deno.test("a header has at most three lines besides its role", () => {
  const header = (lines: number): string => `${"// What it is.\n".repeat(lines)}// Role: edge\n`;
  assert.deepEqual(check({ "lib/sip/ua/a.ts": header(3) }), []);
  assert.deepEqual(check({ "lib/sip/ua/a.ts": header(4) }), [
    "lib/sip/ua/a.ts: has a header of 4 lines, 3 are the limit",
  ]);
});

Deno.test("retired words are refused, in names, comments and texts; the field's words are not", () => {
  const table: [line: string, instead: string | null][] = [
    ["// the far end hung up", "remote party"],
    ["const farEnd = 1;", "remote party"],
    ['log("no touch tones");', "DTMF"],
    ["class FrontDoor {}", "listener"],
    ["x.tenancy.leave(y);", "address registry"],
    ["glance(bytes);", "peek"],
    ["// a stranger came", "unknown source"],
    ["// told to the Other side", "remote party or peer"],
    ["const callRoom = 1;", "call media pool, call admission"],
    ["x.turnedAway();", "rejected"],
    ["// at a far endpoint; the farmers' market; X-Tenant", null],
    ["const remoteParty = listener;", null],
  ];
  for (const [line, instead] of table) {
    assert.deepEqual(
      check({ "lib/sip/ua/a.ts": `${HEADER}${line}\n` }),
      instead === null ? [] : [`lib/sip/ua/a.ts: says what is called ${instead} (line 3)`],
      line,
    );
  }
});

Deno.test("retired words are refused in titles and names of tests, scripts, bench and documents; not in the code of tests", () => {
  const table: [path: string, text: string, complaint: string | null][] = [
    ["tests/a_test.ts", '\n\nDeno.test("a stranger", f);', "says what is called unknown source (line 3)"],
    [
      "tests/a_test.ts",
      "Deno.test(\n  {\n    name: `the \\` far end`,",
      "says what is called remote party (line 3)",
    ],
    ["tests/a_test.ts", "f();\nawait t.step('front doors', f);", "says what is called listener (line 2)"],
    ["tests/a_test.ts", 'Deno.test("all well", f); // stranger\nconst stranger = "stranger";', null],
    ["tests/support/strangers.ts", "", "is named by what is called unknown source (line 1)"],
    ["scripts/a.ts", "f();\n// neighbours", "says what is called worker events, or adjacent (line 2)"],
    ["bench/a.ts", "// touch tones", "says what is called DTMF (line 1)"],
    ["docs/decisions/a.md", "# A\n\nIt is turned away.", "says what is called rejected (line 3)"],
    ["docs/glossary.md", "_not: far end_", null],
  ];
  for (const [path, text, complaint] of table) {
    assert.deepEqual(check({ [path]: text }), complaint === null ? [] : [`${path}: ${complaint}`], text);
  }
});

Deno.test("what another folder imports, each wire format and each machine has a test of its name", () => {
  const code = "export const x = 1;\n";
  const table: [files: Record<string, string>, untested: string[]][] = [
    [{ "lib/sip/ua/a.ts": HEADER + code }, []],
    [{ "lib/sip/ua/a.ts": HEADER + code, "lib/sip/ua/b.ts": `${HEADER}import "./a.ts";\n` }, []],
    [{ "lib/sip/ua/a.ts": HEADER + code, "lib/call/b.ts": `${HEADER}import "../sip/ua/a.ts";\n` }, [
      "sip/ua/a",
    ]],
    [{ "lib/sip/ua/a.ts": WIRE + code }, ["sip/ua/a"]],
    [{ "lib/sip/ua/a.ts": MACHINE + code }, ["sip/ua/a"]],
    [{ "lib/sip/ua/a.ts": `${WIRE}export interface A {\n  b: string;\n}\n` }, []],
  ];
  for (const [files, untested] of table) {
    assert.deepEqual(
      checkLayers(new Map(Object.entries(files))),
      untested.map((name) => `lib/${name}.ts: has no test: tests/${name}_test.ts is missing`),
    );
  }
});

Deno.test("as a program: a line per violation and exit code 1, or one good line and 0", async () => {
  const script = new URL("../../scripts/check_layers.ts", import.meta.url).pathname;
  const root = await Deno.makeTempDir();
  const run = async (): Promise<[number, string]> => {
    const args = ["run", "--no-prompt", `--allow-read=${root}`, script, root];
    const { code, stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
    return [code, new TextDecoder().decode(stdout)];
  };
  try {
    for (const folder of ["lib/base", "tests/base", "scripts", "bench", "docs"]) {
      await Deno.mkdir(`${root}/${folder}`, { recursive: true });
    }
    await Deno.writeTextFile(`${root}/lib/base/a.ts`, HEADER);
    await Deno.writeTextFile(`${root}/tests/base/a_test.ts`, "");
    assert.deepEqual(await run(), [0, "1 files keep the house rules\n"]);
    await Deno.writeTextFile(`${root}/main.ts`, `${HEADER}export default 1;\n`);
    assert.deepEqual(await run(), [
      1,
      "main.ts: has a default export (line 3)\n1 violations of the house rules\n",
    ]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
