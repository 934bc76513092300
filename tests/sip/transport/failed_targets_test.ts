import assert from "node:assert/strict";
import { AVOID_MS, FailedTargets, MAX_FAILED } from "../../../lib/sip/transport/failed_targets.ts";
import { formatTarget, type Target } from "../../../lib/sip/message/target.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { targetAt } from "../../support/sip_messages.ts";

const [one, two, three] = [targetAt("udp", 1), targetAt("udp", 2), targetAt("udp", 3)];
const names = (targets: readonly Target[]) => targets.map(formatTarget).join(", ");

Deno.test("failed servers go behind the others until they answer, or for five minutes", () => {
  const clock = new FakeClock();
  const failed = new FailedTargets(clock);
  const expect = (...wanted: Target[]) => assert.equal(names(failed.order([one, two, three])), names(wanted));
  expect(one, two, three);
  failed.note(one, false);
  expect(two, three, one);
  failed.note(two, false);
  expect(three, one, two);
  failed.note(one, true);
  expect(one, three, two);
  clock.advance(AVOID_MS - 1);
  expect(one, three, two);
  clock.advance(1);
  expect(one, two, three);
});

Deno.test("when all have failed the order is the usual one, and the transport counts", () => {
  const failed = new FailedTargets(new FakeClock());
  const overTcp = targetAt("tcp", 1);
  for (const target of [three, two, one]) failed.note(target, false);
  assert.equal(names(failed.order([one, two, three])), names([one, two, three]));
  assert.equal(names(failed.order([one, overTcp])), names([overTcp, one]));
});

Deno.test("memory is bounded: the longest failed is forgotten", () => {
  const failed = new FailedTargets(new FakeClock());
  for (let host = 1; host <= MAX_FAILED + 1; host++) {
    failed.note({ transport: "udp", endpoint: { hostname: "192.0.2.1", port: host } }, false);
  }
  const [first, second] = [1, 2].map((port): Target => ({
    transport: "udp",
    endpoint: { hostname: "192.0.2.1", port },
  })) as [Target, Target];
  assert.equal(names(failed.order([second, first])), names([first, second]));
});
