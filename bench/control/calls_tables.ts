// The tables of a sweep over calls.
// Role: wire

import type { Percentiles } from "../load/histogram.ts";
import type { SweepRow } from "./calls_sweep.ts";
import { decimal, percent, type Table } from "./tables.ts";

/** What each row says of the gateway. */
export function callsTable(rows: readonly SweepRow[], title: string): Table {
  return {
    title,
    heads: [
      ["calls", "up", "set-up p50/p99", "lost up", "lost down", "up p50/p99/max", "down p50/p99/max"],
      ["CPU ms/call-s", "relay", "ratio", "of core", "memory a call", "GC max", "verdict"],
    ].flat(),
    rows: rows.map((row) => cellsOf(row, rows)),
    notes: ["Times in ms. Memory: resident, above the first row, per call more than there."],
  };
}

function cellsOf(row: SweepRow, rows: readonly SweepRow[]): string[] {
  const { gateway, relay, setUp } = row;
  return [
    String(row.wanted),
    String(row.established),
    `${decimal(setUp.p50Ms)}/${decimal(setUp.p99Ms)}`,
    percent(gateway.lossUp, 3),
    percent(gateway.lossDown, 3),
    latency(gateway.up),
    latency(gateway.down),
    decimal(gateway.cpuMsPerCallSecond, 3),
    decimal(relay?.cpuMsPerCallSecond ?? null, 3),
    decimal(row.ratio, 2),
    percent(gateway.cpuOfCore),
    memoryText(memoryPerCall(row, rows[0])),
    decimal(row.gc.maxMs),
    row.verdict,
  ];
}

/** Resident KiB per call beyond the first row; null where that cannot be told. */
export function memoryPerCall(row: SweepRow, first: SweepRow | undefined): number | null {
  const [here, there] = [row.gateway.rssKiB, first?.gateway.rssKiB ?? null];
  const more = row.gateway.calls - (first?.gateway.calls ?? 0);
  return here === null || there === null || more === 0 ? null : (here - there) / more;
}

/** What the load end did beside it, and what the machine did to both. */
export function healthTable(rows: readonly SweepRow[]): Table {
  return {
    title: "Load end and machine",
    heads: [
      ["calls", "timer lag p50/p99/max", "CPU of load end", "its sockets full", "gateway's full"],
      [
        "not sent",
        "gateway waited",
        "load waited",
        "relay up p50/p99/max",
        "relay down p50/p99/max",
        "ratios",
      ],
    ].flat(),
    rows: rows.map((row) => [
      String(row.wanted),
      latency(row.load.lag),
      percent(row.load.cpuOfCore),
      String(row.load.drops),
      String(row.gatewayDrops),
      String(row.load.blocked),
      percent(row.gateway.waited, 1),
      percent(row.load.waited, 1),
      row.relay === null ? "-" : latency(row.relay.up),
      row.relay === null ? "-" : latency(row.relay.down),
      row.ratios.map((ratio) => ratio.toFixed(2)).join(" "),
    ]),
    notes: ["waited: share of the time in which the process was ready and another program had its core."],
  };
}

function latency({ p50Ms, p99Ms, maxMs }: Percentiles): string {
  return `${decimal(p50Ms, 2)}/${decimal(p99Ms, 2)}/${decimal(maxMs)}`;
}

function memoryText(kib: number | null): string {
  return kib === null ? "-" : `${decimal(kib, 0)} KiB`;
}
