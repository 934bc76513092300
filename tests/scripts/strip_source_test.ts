// What is code and what is not, case by case, and on the project's own files.

import assert from "node:assert/strict";
import { stripSource } from "../../scripts/strip_source.ts";

/** Code with runs of blanks shortened, so that tables can be read. */
function code(source: string): string {
  return stripSource(source).codeOnly.replace(/[ \n]+/g, " ").trim();
}

Deno.test("comments, strings, templates and regular expressions are blanked, code is kept", () => {
  const table: [source: string, code: string][] = [
    ["a(); // await b", "a();"],
    ["a(/* await */ b)", "a( b)"],
    ["/* a\n * await */ b", "b"],
    ['x = "await";', 'x = " ";'],
    ["x = 'a\\'await';", "x = ' ';"],
    ['x = "// no comment"; y', 'x = " "; y'],
    ["x = `await`;", "x = ` `;"],
    ["x = `a ${await b} await`;", "x = ` {await b} `;"],
    ["x = `a ${f({ k: `in ${deep} ner` })} await`; y", "x = ` {f({ k: ` {deep} ` })} `; y"],
    ["x = `\\${await} \\``; y", "x = ` `; y"],
    ["x = /await\\/[/]/g; y", "x = / /g; y"],
    ["return /await/;", "return / /;"],
    ['f(/a"b/, c)', "f(/ /, c)"],
    ["x = a / b / c;", "x = a / b / c;"],
    ["x = (a) / await_ / arr[0] / 2;", "x = (a) / await_ / arr[0] / 2;"],
    ["if (!/x'y/.test(a)) await b;", "if (!/ /.test(a)) await b;"],
    ["", ""],
    ['"unfinished', '" d'],
    ["`unfinished", "` d"],
    ["/* unfinished", ""],
  ];
  for (const [source, expected] of table) assert.equal(code(source), expected, source);
});

Deno.test("strings are kept where imports are looked for, comments are not", () => {
  const { withStrings } = stripSource('import { a } from "./a.ts"; // from "./b.ts"');
  assert.match(withStrings, /from "\.\/a\.ts"/);
  assert.doesNotMatch(withStrings, /b\.ts/);
});

Deno.test("lengths and line breaks stay, so that line numbers are true", () => {
  const source = 'a;\n/* b\n\n c */ `d\n${e}\n` // f\n"g"\n';
  for (const stage of Object.values(stripSource(source))) {
    assert.equal(stage.length, source.length);
    assert.deepEqual(
      [...stage.matchAll(/\n/g)].map((m) => m.index),
      [...source.matchAll(/\n/g)].map((m) => m.index),
    );
  }
});

Deno.test("every file of the project is walked to its end with its braces in balance", async () => {
  const root = new URL("../../", import.meta.url);
  for (const folder of ["lib/base", "lib/net", "scripts"]) {
    for await (const entry of Deno.readDir(new URL(folder, root))) {
      if (!entry.isFile || !entry.name.endsWith(".ts")) continue;
      const source = await Deno.readTextFile(new URL(`${folder}/${entry.name}`, root));
      const { codeOnly } = stripSource(source);
      assert.equal(codeOnly.length, source.length, entry.name);
      const count = (char: string): number => codeOnly.split(char).length;
      for (const [open, close] of ["{}", "()", "[]"]) {
        assert.equal(count(open!), count(close!), `${entry.name}: ${open}${close}`);
      }
    }
  }
});
