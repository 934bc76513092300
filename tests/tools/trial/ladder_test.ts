import assert from "node:assert/strict";
import { formatLadder, type LadderStep } from "../../../lib/tools/trial/ladder.ts";

const NAMES = { client: "RTMP client", gateway: "gateway", sip: "SIP" };

Deno.test("arrows reach from party to party and every line keeps the columns", () => {
  const steps: LadderStep[] = [
    { atMs: 12, from: "gateway", to: "sip", text: "INVITE sip:echo@127.0.0.1" },
    { atMs: 0, from: "client", to: "gateway", text: "connect sip/me@127.0.0.1" },
    { atMs: 15.4, from: "sip", to: "gateway", text: "180 Ringing" },
    { atMs: 16, from: "gateway", to: "client", text: "ringing" },
    { atMs: 20, from: "client", to: "client", text: "500 packets sent" },
  ];
  const lines = formatLadder(steps, NAMES);
  assert.equal(lines[0], "         RTMP client                       gateway                           SIP");
  assert.equal(lines[1], "         |                                 |                                 |");
  assert.equal(lines.at(-2), "   20 ms | 500 packets sent");
  for (const line of lines.slice(2, 6)) {
    assert.equal(line[9], "|");
    assert.equal(line[9 + 34], "|");
    assert.equal(line[9 + 68], "|");
  }
  assert.match(lines[2]!, /- connect sip\/me@127\.0\.0\.1 -+>\|/);
  assert.match(lines[4]!, /\|<-+ 180 Ringing -\|$/);
});

Deno.test("a text too long for its lane is cut, not wrapped", () => {
  const [, , row] = formatLadder([{ atMs: 0, from: "sip", to: "gateway", text: "x".repeat(200) }], NAMES);
  assert.equal(row!.length, 9 + 69);
  assert.match(row!, /x\.\. -\|$/);
});
