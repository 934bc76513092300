// Whatever reads text or bytes of others takes time in proportion to them, whatever is in them; and whatever reads is
// among what is tried here or, for SIP, in sip_linear_time_test.ts, which runs beside it.

import assert from "node:assert/strict";
import { readTree } from "../../scripts/check_layers.ts";
import { named, timeProblem } from "../support/linear_time.ts";
import { BYTE_PARSERS } from "./byte_parsers.ts";
import { SIP_PARSERS } from "./sip_parsers.ts";
import { TEXT_PARSERS } from "./text_parsers.ts";

const PARSERS = [...TEXT_PARSERS, ...BYTE_PARSERS];

/** Everything at each place, which takes many minutes: SIPRTMP_LINEAR=all deno test -A tests/linear */
const thorough = Deno.env.get("SIPRTMP_LINEAR") === "all";

for (const parser of PARSERS) {
  Deno.test(`${parser.name} takes linear time`, () => assert.equal(timeProblem(parser, thorough), null));
}

const SLOW: Readonly<Record<string, (text: string) => unknown>> = {
  "a run tried again from each of its characters": (text) => text.replace(/\/+$/, ""),
  "two repetitions of the same characters": (text) => /^[0-9a-f:]*:[0-9a-f:]*$/.test(text),
  "three of them": (text) => /^\S+\s+([^;]*)(.*)$/.exec(text),
  "a copy for each piece": (text) => {
    let list = "";
    for (const one of text.split(",")) list = `${list.slice(0, -1)},${one};`.replaceAll("\n", " ");
    return list;
  },
  "a search for each piece": (text) =>
    text.split(";").filter((one, index, all) => all.indexOf(one) === index),
  "a list moved for each piece": (text) => {
    const characters = [...text];
    for (let at = 0; at < characters.length; at++) {
      if (characters[at] === "/") characters.splice(at, 1, "/", "");
    }
    return characters;
  },
  "more than 5 ms, if linear": (text) => {
    let sum = 0;
    for (let i = 0; i < 300 * text.length; i++) sum = Math.imul(sum ^ i, 31);
    return sum;
  },
};

const FAST: Readonly<Record<string, (text: string) => unknown>> = {
  "one repetition": (text) => /^[^;]*;/.exec(text),
  "one copy": (text) => text.split(",").map((one) => one.trim()).join(", "),
  "one map": (text) => new Set(text.split(";")).size,
};

Deno.test("what is slow is found, however it is slow", () => {
  for (const [name, parse] of Object.entries(SLOW)) {
    assert.notEqual(timeProblem(named(name, parse, "//a b; 1:c, d;e/")), null, name);
  }
});

Deno.test("what is not slow is left in peace", () => {
  for (const [name, parse] of Object.entries(FAST)) {
    assert.equal(timeProblem(named(name, parse, "//a b; 1:c, d;e/")), null, name);
  }
});

/** Names of what reads: functions, and classes that are fed. */
const READS =
  /^(?:(?:parse|decode|read|is|match|mask|glance|peek|scan|find|split|trim|unquote|unescape|verify|same)(?:[A-Z]\w*)?|\w+(?:Reader|Parser|Decoder|Depacketizer|Pattern))$/;

const EXPORTED = /^export (?:(?:async )?function\*? (?=\w+[^(]*\(([^)]*)\))|class )(\w+)/gm;

/** Parameters of those that do not only look at values that are read already. */
const TAKES = /\b(?:string|Uint8Array|unknown|SipBody|SipMessage|SipRequest|SipResponse|MediaMessage)\b/;

/** What need not be tried, and why. */
const NOT_TRIED: Readonly<Record<string, readonly string[]>> = {
  "looks at a value that is read already, or compares with a word": [
    "isExternalizable",

    "isClosedHere",
    "isSomebodyElse",
    "isNamed",
  ],
  "reads files in pieces, which are read by those that are tried": [
    "isLink",
    "readModule",
    "FlvReader",
    "FlvSeekReader",
    "readTextFile",
  ],
  "sound: a fixed time for each sample of one packet": [
    "AacDecoder",
    "G711Decoder",
    "G722Decoder",
    "OpusDecoder",
    "SpeexDecoder",
  ],
  "slow by intention, so that passwords cannot be guessed; few at once": [
    "verifyPassword",
  ],
  "reads no text": ["MailboxReader", "parseTable", "readEntry"],
  "words of the command line, as parseArguments gives them": [
    "readCallOptions",
  ],
};

Deno.test("every function and class that reads text or bytes is tried, or it is said why not", async () => {
  const tried = new Set([...PARSERS, ...SIP_PARSERS].flatMap(({ name }) => name.split(" ")));
  const excused = Object.values(NOT_TRIED).flat();
  const names = await exportedReaders();
  assert.deepEqual(names.filter((name) => !tried.has(name) && !excused.includes(name)), []);
  assert.deepEqual(names.filter((name, at) => names.indexOf(name) !== at), [], "one name for two readers");
});

Deno.test("what need not be tried is there", async () => {
  const all = await exportedReaders();
  assert.deepEqual(Object.values(NOT_TRIED).flat().filter((name) => !all.includes(name)), []);
});

async function exportedReaders(): Promise<string[]> {
  const found: string[] = [];
  for (const [path, text] of await readTree(new URL("../..", import.meta.url).pathname)) {
    if (!path.startsWith("lib/")) continue;
    for (const [, parameters, name = ""] of text.matchAll(EXPORTED)) {
      if (READS.test(name) && (parameters === undefined || TAKES.test(parameters))) found.push(name);
    }
  }
  return found.sort();
}
