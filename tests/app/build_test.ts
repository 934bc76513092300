import assert from "node:assert/strict";
import {
  type Build,
  codecAdvice,
  commandPrefix,
  formatLicences,
  formatVersion,
} from "../../lib/app/build.ts";
import { version } from "../../lib/config/config.ts";

const SOURCE: Build = { type: "source" };
const FILE: Build = { type: "executable", commit: "abc1234", target: "t-u-v", licences: () => "TEXTS" };
const RUNTIME = { deno: "2.0.0", v8: "14.0" };

Deno.test("--version says version, origin, runtime, codecs, and FAAD2's notice on a line of its own", () => {
  const all = { transcodable: ["opus", "speex"], missing: [] };
  const text = formatVersion(FILE, RUNTIME, all);
  assert.ok(
    text.startsWith(
      `siprtmp ${version} (commit abc1234, t-u-v)\nruntime: Deno 2.0.0, V8 14.0\ncodecs: opus, speex\n`,
    ),
  );
  assert.match(text, /\nCode from FAAD2 is copyright \(c\) Nero AG, www\.nero\.com\n/);
  const none = formatVersion(SOURCE, RUNTIME, { transcodable: [], missing: ["opus", "aac_decoder"] });
  assert.match(none, /^siprtmp \S+ \(from source\)\n/);
  assert.match(none, /\ncodecs: audio passes through as it is \(not built: opus, aac_decoder\)\n/);
});

Deno.test("what is said fits how the program was started", () => {
  assert.deepEqual([commandPrefix(SOURCE), commandPrefix(FILE)], ["deno task", "siprtmp"]);
  assert.match(codecAdvice(SOURCE), /deno task codecs/);
  assert.doesNotMatch(codecAdvice(FILE), /deno/);
  assert.equal(formatLicences(FILE), "TEXTS");
  assert.match(formatLicences(SOURCE), /docs\/licences\.md/);
});
