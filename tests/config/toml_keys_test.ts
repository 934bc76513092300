import assert from "node:assert/strict";
import fc from "fast-check";
import { parse, stringify } from "smol-toml";
import { findTomlKeys } from "../../lib/config/toml_keys.ts";

const found = (text: string): string[] =>
  findTomlKeys(text).map(({ path, line, column }) => `${line}:${column} ${path.join("/")}`);

const TABLE: [name: string, text: string, keys: string[]][] = [
  ["plain keys", "a = 1\n\tb = 2\r\n  c-d_e = 3", ["1:1 a", "2:2 b", "3:3 c-d_e"]],
  ["comments", "# a = 1\na = 1 # b = 2\n#\nc = '# d = 3' # x", ["2:1 a", "4:1 c"]],
  ["dots and quotes", '"a b" . \'c\'.d = 1\n"\\u00e9" = 2', ["1:2 a b/c/d", "2:2 é"]],
  ["tables", "[a]\nb = 1\n[ a . c ]\nd = 2", ["1:2 a", "2:1 a/b", "3:3 a/c", "4:1 a/c/d"]],
  ["lists of tables", "[[a]]\nb=1\n[[a]]\n  b=2\n[a.c]\nd=3\n[[a.e]]\nf=4", [
    ...[
      "1:3 a/0",
      "2:1 a/0/b",
      "3:3 a/1",
      "4:3 a/1/b",
      "5:2 a/1/c",
      "6:1 a/1/c/d",
      "7:3 a/1/e/0",
      "8:1 a/1/e/0/f",
    ],
  ]],
  ["inline tables", 'a = { b = "}", c = {d = 1} }\ne = 2', [
    "1:1 a",
    "1:7 a/b",
    "1:16 a/c",
    "1:21 a/c/d",
    "2:1 e",
  ]],
  ["lists", 'a = [ {b = 1},\n  # no\n  {b = "]", c = 2}, ]\nd = [[1], [2]]', [
    ...["1:1 a", "1:8 a/0/b", "3:4 a/1/b", "3:13 a/1/c", "4:1 d"],
  ]],
  ["long strings", 'a = """\nb = 1\n\\""" c = 2\n""""\nd = \'\'\'\ne = 3\'\'\'\nf = "\\"g = 4"\nh = 5', [
    ...["1:1 a", "5:1 d", "7:1 f", "8:1 h"],
  ]],
  ["nothing", "", []],
];

for (const [name, text, keys] of TABLE) {
  Deno.test(`keys of TOML are found where they are: ${name}`, () => {
    parse(text);
    assert.deepEqual(found(text), keys);
  });
}

Deno.test("every key that the parser knows is found, and every path leads to something", () => {
  const leaf = fc.oneof(fc.integer(), fc.string(), fc.boolean());
  const { table } = fc.letrec<{ table: object; value: unknown }>((tie) => ({
    table: fc.dictionary(fc.string({ minLength: 1 }), tie("value"), { maxKeys: 4 }),
    value: fc.oneof({ depthSize: "small" }, leaf, tie("table"), fc.array(tie("table"), { maxLength: 3 })),
  }));
  fc.assert(fc.property(table, (value) => {
    const text = stringify(value);
    const parsed = parse(text);
    const keys = findTomlKeys(text);
    for (const { path } of keys) {
      let here: unknown = parsed;
      for (const step of path) here = (here as Record<string, unknown>)[step];
      assert.ok(here !== undefined, `${JSON.stringify(path)} in\n${text}`);
    }
    for (const key of Object.keys(parsed)) {
      assert.ok(keys.some(({ path }) => path[0] === key), `${key} in\n${text}`);
    }
  }));
});

Deno.test("any text ends, in time in proportion", () => {
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom("[", "]", "{", "}", "=", ".", '"', "'", "\\", "#", "\n", " ", "a", ","),
      }),
      (text) => {
        findTomlKeys(text);
      },
    ),
  );
  for (const piece of ["[", "{a=", "a.", '"', "[[a]]\n", "a=[", "a={b=", "#", "a=1\n", "'''", " "]) {
    const timeMs = (length: number): number => {
      const text = piece.repeat(Math.floor(length / piece.length));
      const started = performance.now();
      findTomlKeys(text);
      return performance.now() - started;
    };
    timeMs(8192);
    const bestMs = (length: number): number => Math.min(...Array.from({ length: 7 }, () => timeMs(length)));
    const [short, long] = [bestMs(8192), bestMs(16 * 8192)];
    assert.ok(long < 50 * Math.max(short, 1), `${JSON.stringify(piece)}: ${short} ms, then ${long} ms`);
  }
});
