// Clients that log in and do nothing: each is registered at a SIP registrar and kept so.
// Role: edge

import { sampleProcess } from "../process.ts";
import { decimal, percent } from "../control/tables.ts";
import { type Bench, type Findings, startSubjects } from "./scenario.ts";

/** How many log in at the same time. */
const TOGETHER = 50;
const WATCH_SECONDS = 15;

/** See the head of the file. */
export async function measureIdleUsers(bench: Bench): Promise<Findings> {
  const { users } = bench.options;
  await using subjects = await startSubjects(bench, { relay: false, args: ["--expires", "3600"] });
  const { load, gateway } = subjects;
  const warm = await load.ask("register", { port: gateway.rtmpPort, count: 100, together: TOGETHER });
  const before = sampleProcess(gateway.pid);
  bench.say(`  ${warm.registered} registered, ${users - 100} to come`);
  const rest = await load.ask("register", { port: gateway.rtmpPort, count: users - 100, together: TOGETHER });
  const idle = await load.ask("watch", { pid: gateway.pid, seconds: WATCH_SECONDS });
  const registered = rest.registered;
  const kib = before === null || idle.rssKiB === null
    ? null
    : (idle.rssKiB - before.rssKiB) / (registered - warm.registered);
  const cpu = idle.cpuMs === null ? null : idle.cpuMs / 1000 / idle.seconds;
  bench.say(`  ${registered} registered: ${decimal(kib)} KiB each`);
  const perSecond = (registered - warm.registered) / rest.seconds;
  return {
    tables: [{
      title: "Registered users that do nothing",
      heads: ["users", "memory each", "all of it", "log-ins a second", "of a core when idle"],
      rows: [[
        `${registered} of ${users}`,
        kib === null ? "-" : `${decimal(kib)} KiB`,
        idle.rssKiB === null ? "-" : `${decimal(idle.rssKiB / 1024, 0)} MiB`,
        decimal(perSecond, 0),
        percent(cpu, 1),
      ]],
      notes: [
        "memory: resident, per user more than with 100; registrations last an hour, pings go every 15 s",
        ...rest.failures,
      ],
    }],
    targets: [{
      text: `${users} idle registered users on one process`,
      measured: `${registered}, ${decimal(kib)} KiB resident each`,
      reached: registered === users,
    }],
    data: { registered, users, kibPerUser: kib, perSecond, idle, failures: rest.failures },
  };
}
