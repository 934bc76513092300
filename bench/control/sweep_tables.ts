// The tables of a sweep over calls.
// Role: wire

import type { Percentiles } from "../load/histogram.ts";
import type { StreamFigures } from "./figures.ts";
import type { SweepRow } from "./sweep.ts";
import { slopeOf } from "./ratios.ts";
import { decimal, percent, type Table } from "./tables.ts";

const FEW_CALLS = 50;

/** What each row says of the gateway. */
export function callsTable(rows: readonly SweepRow[], title: string): Table {
  return {
    title,
    heads: [
      ["calls", "set-up p50/p99", "lost up/down", "up p50/p99/max", "down p50/p99/max"],
      ["CPU ms/call-s", "relay", "ratio", "of a core", "resident MiB", "GC max/total", "verdict"],
    ].flat(),
    rows: rows.map((row) => cellsOf(row, row.gateway.audio)),
    notes: [
      `times in ms; GC during all slices; each further call takes ${
        memoryText(memoryPerCall(rows))
      }, garbage included`,
    ],
  };
}

/** The pictures of the same rows. */
export function videoTable(rows: readonly SweepRow[]): Table {
  return {
    title: "Pictures of the same calls",
    heads: ["calls", "pictures sent", "lost up/down", "up p50/p99/max", "down p50/p99/max"],
    rows: rows.flatMap(({ wanted, gateway: { video } }) =>
      video === null ? [] : [[
        String(wanted),
        String(video.sent),
        lossText(video),
        latencyText(video.up),
        latencyText(video.down),
      ]]
    ),
  };
}

function cellsOf(row: SweepRow, audio: StreamFigures): string[] {
  const { gateway, relay, setUp } = row;
  return [
    row.established === row.wanted ? String(row.wanted) : `${row.established} of ${row.wanted}`,
    setUp.count === 0 ? "-" : `${decimal(setUp.p50Ms)}/${decimal(setUp.p99Ms)}`,
    lossText(audio),
    latencyText(audio.up),
    latencyText(audio.down),
    decimal(gateway.cost, 3),
    decimal(relay?.cost ?? null, 3),
    decimal(row.ratio, 2),
    percent(gateway.cpuOfCore),
    decimal(gateway.rssKiB === null ? null : gateway.rssKiB / 1024, 0),
    `${decimal(row.gc.maxMs)}/${decimal(row.gc.totalMs, 0)}`,
    row.verdict,
  ];
}

/**
 * Resident KiB that each further call takes: the slope through the rows. Few calls are left out, because there the
 * collector's own space still grows. Null with fewer than two rows.
 */
export function memoryPerCall(rows: readonly SweepRow[]): number | null {
  const points = rows.flatMap(({ gateway: { calls, rssKiB } }) =>
    rssKiB === null || calls < FEW_CALLS ? [] : [[calls, rssKiB] as const]
  );
  return slopeOf(points);
}

/** What the load end did beside it, and what the machine did to both. */
export function healthTable(rows: readonly SweepRow[]): Table {
  return {
    title: "Load end, relay and machine in the same rows",
    heads: [
      [
        "calls",
        "timer lag p50/p99/max",
        "I/O lag p50/p99/max",
        "load end's CPU",
        "not sent",
        "its/gateway's sockets full",
      ],
      [
        "gateway/load end waited",
        "relay up p50/p99",
        "relay down p50/p99",
        "relay lost",
        "ratios of the slices",
      ],
    ].flat(),
    rows: rows.map((row) => [
      String(row.wanted),
      latencyText(row.load.lag),
      latencyText(row.load.ioLag),
      percent(row.load.cpuOfCore),
      String(row.load.blocked),
      `${row.load.drops}/${row.gatewayDrops}`,
      `${percent(row.gateway.waited, 1)}/${percent(row.load.waited, 1)}`,
      row.relay === null ? "-" : shortText(row.relay.audio.up),
      row.relay === null ? "-" : shortText(row.relay.audio.down),
      row.relay === null ? "-" : lossText(row.relay.audio),
      row.ratios.map((ratio) => ratio.toFixed(2)).join(" "),
    ]),
    notes: [
      "waited: share of the time in which the process was ready to run and another program had its core",
    ],
    printedOnly: true,
  };
}

/** "p50/p99/max" in ms. */
export function latencyText({ p50Ms, p99Ms, maxMs }: Percentiles): string {
  return `${decimal(p50Ms, 2)}/${decimal(p99Ms, 2)}/${decimal(maxMs)}`;
}

/** KiB without digits behind the point. */
export function memoryText(kib: number | null): string {
  return kib === null ? "-" : `${decimal(kib, 0)} KiB`;
}

function shortText({ p50Ms, p99Ms }: Percentiles): string {
  return `${decimal(p50Ms, 2)}/${decimal(p99Ms, 2)}`;
}

function lossText({ lossUp, lossDown }: StreamFigures): string {
  return `${(lossUp * 100).toFixed(3)}/${percent(lossDown, 3)}`;
}
