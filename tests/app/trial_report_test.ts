import assert from "node:assert/strict";
import { formatTrialReport } from "../../lib/app/program.ts";
import type { EchoReport } from "../../lib/tools/trial/echo_meter.ts";

const ECHO: EchoReport = {
  sent: 500,
  returned: 499,
  matched: 499,
  sentBytes: 21_500,
  returnedBytes: 21_457,
  roundTripMs: { min: 0.4, median: 1.2, max: 8 },
  longestGapMs: 41,
};

Deno.test("a completed call shows ladder, set-up time, packets, loss, round trip and verdict", () => {
  const text = formatTrialReport({
    outcome: { type: "completed", echo: ECHO },
    steps: [{ atMs: 3, from: "client", to: "gateway", text: "invite echo" }],
    setUpMs: 12.3,
  });
  for (
    const part of [
      /- invite echo -+>/,
      /call set-up {4}12 ms/,
      /500 sent, 499 returned, 499 of them as sent/,
      /lost {11}1 of 500 \(0\.2 %\)/,
      /round trip {5}1\.2 ms \(0\.4 to 8\.0\)/,
      /longest gap {4}41 ms/,
      /1 of 500 packets/,
    ]
  ) assert.match(text, part);
});

Deno.test("a call that was refused has a verdict and no figures", () => {
  const text = formatTrialReport({
    outcome: { type: "rejected", reason: "404 Not Found" },
    steps: [],
    setUpMs: null,
  });
  assert.match(text, /404 Not Found/);
  assert.doesNotMatch(text, /packets {8}|set-up/);
});

Deno.test("loss is not claimed when the remote party codes anew", () => {
  const text = formatTrialReport({
    outcome: { type: "completed", echo: { ...ECHO, matched: 0, roundTripMs: null } },
    steps: [],
    setUpMs: 1,
  });
  assert.match(text, /lost {11}cannot be told/);
});
