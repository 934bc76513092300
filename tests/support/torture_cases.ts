// The messages of tests/torture/sip; the README there says how they are written.
// Role: edge

import assert from "node:assert/strict";
import { encodeUtf8, fromHex } from "../../lib/base/bytes.ts";

/** One message. */
export interface TortureCase {
  /** Name of its file. */
  readonly name: string;
  /** Its notes; "" for lines that are text. */
  readonly notes: readonly [name: string, value: string][];
  /** As it is on the wire. */
  readonly bytes: Uint8Array;
}

/** All of one folder, by name. */
export function readTortureCases(kind: "valid" | "invalid"): TortureCase[] {
  const folder = new URL(`../torture/sip/${kind}/`, import.meta.url);
  const names = [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
  return names.map((name) => readCase(name, Deno.readTextFileSync(new URL(name, folder))));
}

function readCase(name: string, text: string): TortureCase {
  const cut = text.indexOf("---\n");
  assert.ok(cut > 0, `${name} has no --- line`);
  const notes = text.slice(0, cut).split("\n")
    .map((line): [string, string] => {
      const match = /^# (\w+): (.*)$/.exec(line);
      return match ? [match[1]!, match[2]!] : ["", line];
    });
  const lineEnd = notes.some(([key, value]) => key === "LineEnd" && value === "LF") ? "\n" : "\r\n";
  return {
    name: name.replace(/\.txt$/, ""),
    notes,
    bytes: wireBytes(text.slice(cut + 4).replaceAll("\n", lineEnd)),
  };
}

function wireBytes(text: string): Uint8Array {
  const parts = text.split(/(\\x[0-9a-f]{2}|\\\\)/);
  const bytes: number[] = [];
  for (const part of parts) {
    const escaped = /^\\x([0-9a-f]{2})$/.exec(part);
    bytes.push(...(escaped ? fromHex(escaped[1]!) : encodeUtf8(part === "\\\\" ? "\\" : part)));
  }
  return Uint8Array.from(bytes);
}
