import assert from "node:assert/strict";
import { nearest } from "../../lib/config/nearest.ts";

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
