// What a trial call prints when it is over: the ladder, the figures, the verdict.
// Role: wire

import type { EchoReport } from "./echo_meter.ts";
import { formatLadder, judge } from "./verdict.ts";
import type { TrialReport } from "./trial_call.ts";

/** The whole report as text without a final line end. */
export function formatTrialReport(report: TrialReport): string {
  const names = { client: "RTMP client", gateway: "gateway", sip: "SIP side" };
  const lines = formatLadder(report.steps, names);
  const { outcome } = report;
  const figures = outcome.type === "completed" || outcome.type === "cut" ? formatFigures(outcome.echo) : [];
  const setUp = report.setUpMs === null ? [] : [`call set-up    ${report.setUpMs.toFixed(0)} ms`];
  return [...lines, "", ...setUp, ...figures, "", judge(outcome).text].join("\n");
}

function formatFigures(echo: EchoReport): string[] {
  const lost = Math.max(0, echo.sent - echo.matched);
  const lossText = echo.matched === 0 && echo.returned > 0
    ? "cannot be told: what came back is not what was sent"
    : `${lost} of ${echo.sent} (${echo.sent === 0 ? "0.0" : (100 * lost / echo.sent).toFixed(1)} %)`;
  const trip = echo.roundTripMs;
  return [
    `packets        ${echo.sent} sent, ${echo.returned} returned, ${echo.matched} of them as sent`,
    `bytes          ${echo.sentBytes} sent, ${echo.returnedBytes} returned`,
    `lost           ${lossText}`,
    ...(trip === null
      ? []
      : [`round trip     ${trip.median.toFixed(1)} ms (${trip.min.toFixed(1)} to ${trip.max.toFixed(1)})`]),
    `longest gap    ${echo.longestGapMs.toFixed(0)} ms between returned packets`,
  ];
}
