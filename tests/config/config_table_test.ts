import fc from "fast-check";
import assert from "node:assert/strict";
import { nearest, type ParsedTable, parseTable, type TableReader } from "../../lib/config/config_table.ts";

const READER: TableReader<{ size: number }> = {
  example: "[[box]], with size = 1",
  maxRules: 3,
  keys: ["size", "colour"],
  readRule: ({ size }) => typeof size === "number" ? { size } : "size must be a number",
};

const TABLE: [value: unknown, parsed: ParsedTable<{ size: number }>][] = [
  [[], { type: "rules", rules: [] }],
  [[{ size: 2 }, { size: 3, colour: "red" }], { type: "rules", rules: [{ size: 2 }, { size: 3 }] }],
  [{ size: 2 }, { type: "wrong", problem: "must be written as [[box]], with size = 1", at: [] }],
  [[{ size: 2 }, null], {
    type: "wrong",
    problem: "rule 2: must be written as [[box]], with size = 1",
    at: [1],
  }],
  [[{ size: 2, sise: 3 }], {
    type: "wrong",
    problem: "rule 1: has sise, which is unknown; did you mean size?",
    at: [0, "sise"],
  }],
  [[{ size: 2, weight: 3 }], {
    type: "wrong",
    problem: "rule 1: has weight, which is unknown; a rule has size and colour",
    at: [0, "weight"],
  }],
  [[{ size: "2" }], { type: "wrong", problem: "rule 1: size must be a number", at: [0, "size"] }],
  [[{}, {}, {}, {}], { type: "wrong", problem: "has more than 3 rules", at: [] }],
];

Deno.test("config_table: a list of tables, or what is wrong with it", () => {
  for (const [value, parsed] of TABLE) assert.deepEqual(parseTable(value, READER), parsed);
});

Deno.test("config_table: nothing throws", () => {
  fc.assert(fc.property(fc.anything(), (value) => void parseTable(value, READER)));
});

const names = ["host", "port", "root", "sip-port", "rtp-ports", "outbound-proxy", "verbose", "verbose-all"];

Deno.test("the nearest name is found, or none", () => {
  const table: [written: string, found: string | null][] = [
    ["port", "port"],
    ["prot", "port"],
    ["hsot", "host"],
    ["sip_port", "sip-port"],
    ["sipPort", "sip-port"],
    ["rtp-port", "rtp-ports"],
    ["outbound-prox", "outbound-proxy"],
    ["verbos", "verbose"],
    ["verboseAll", "verbose-all"],
    ["colour", null],
    ["", null],
    ["x".repeat(100_000), null],
  ];
  for (const [written, found] of table) assert.equal(nearest(written, names), found, written.slice(0, 40));
  assert.equal(nearest("port", []), null);
});
