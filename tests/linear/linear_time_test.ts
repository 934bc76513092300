// Whatever reads text or bytes of others takes time in proportion to them, whatever is in them; and whatever reads is
// among what is tried here or, for SIP, in sip_linear_time_test.ts, which runs beside it.

import assert from "node:assert/strict";
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
    "amf/amf3_marker.ts isExternalizable",
    "bridge/publisher_configs.ts isConfig",
    "net/failure.ts isClosedHere",
    "rtp/described_peer.ts isSomebodyElse",
    "sdp/media_format.ts isNamed",
  ],
  "reads files in pieces, which are read by those that are tried": [
    "flv/disk.ts isLink",
    "flv/file.ts FlvReader",
    "flv/seek_reader.ts FlvSeekReader",
    "net/text_file.ts readTextFile",
  ],
  "sound: a fixed time for each sample of one packet": [
    "codecs/aac.ts AacDecoder",
    "codecs/g711_codec.ts G711Decoder",
    "codecs/g722.ts G722Decoder",
    "codecs/opus.ts OpusDecoder",
    "codecs/speex.ts SpeexDecoder",
  ],
  "slow by intention, so that passwords cannot be guessed; few at once": [
    "access/password.ts verifyPassword",
  ],
  "reads no text": ["base/mailbox.ts MailboxReader", "config/config_table.ts parseTable"],
  "words of the command line, as parseArguments gives them": [
    "app/call_options.ts readCallOptions",
  ],
};

Deno.test("every function and class that reads text or bytes is tried, or it is said why not", async () => {
  const tried = new Set([...PARSERS, ...SIP_PARSERS].flatMap(({ name }) => {
    const [file, ...names] = name.split(" ");
    return names.map((one) => `${file} ${one}`);
  }));
  const excused = Object.values(NOT_TRIED).flat();
  const missing = (await exportedReaders()).filter((name) => !tried.has(name) && !excused.includes(name));
  assert.deepEqual(missing, []);
});

Deno.test("what need not be tried is there", async () => {
  const all = await exportedReaders();
  assert.deepEqual(Object.values(NOT_TRIED).flat().filter((name) => !all.includes(name)), []);
});

/** "folder/file.ts name" of each. */
async function exportedReaders(): Promise<string[]> {
  const found: string[] = [];
  const lib = new URL("../../lib/", import.meta.url);
  for await (const folder of Deno.readDir(lib)) {
    for await (const file of Deno.readDir(new URL(`${folder.name}/`, lib))) {
      if (!file.name.endsWith(".ts")) continue;
      const text = await Deno.readTextFile(new URL(`${folder.name}/${file.name}`, lib));
      for (const [, parameters, name = ""] of text.matchAll(EXPORTED)) {
        if (READS.test(name) && (parameters === undefined || TAKES.test(parameters))) {
          found.push(`${folder.name}/${file.name} ${name}`);
        }
      }
    }
  }
  return found.sort();
}
