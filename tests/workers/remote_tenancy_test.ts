import assert from "node:assert/strict";
import { LocalTally } from "../../lib/base/tally.ts";
import type { FromWorker } from "../../lib/workers/messages.ts";
import { RemoteTenancy } from "../../lib/workers/remote_tenancy.ts";

const PATH = { address: "alice@example.com", key: "sip/alice@example.com" };

function scene() {
  const posted: FromWorker[] = [];
  const clients = new LocalTally();
  return { posted, clients, tenancy: new RemoteTenancy((message) => posted.push(message), clients) };
}

Deno.test("remote tenancy: each question gets its own answer", async () => {
  const { posted, tenancy } = scene();
  const first = tenancy.arrive(PATH, false);
  const second = tenancy.arrive({ ...PATH, key: "sip/alice@example.com/x" }, true);
  assert.deepEqual(posted.map((message) => message.type === "arrive" && message.ask), [1, 2]);
  tenancy.answered({ type: "arrival", ask: 2, arrival: { type: "rejected", reason: "full" } });
  tenancy.answered({ type: "arrival", ask: 1, arrival: { type: "welcome", shared: true } });
  tenancy.answered({ type: "arrival", ask: 9, arrival: { type: "welcome", shared: true } });
  assert.deepEqual(await first, { type: "welcome", shared: true });
  assert.deepEqual(await second, { type: "rejected", reason: "full" });
});

Deno.test("remote tenancy: who enters counts, who is rejected or leaves does not", async () => {
  const { posted, clients, tenancy } = scene();
  const [one, two] = [{ id: 1 }, { id: 2 }];
  const entering = [tenancy.enter(PATH, one, false), tenancy.enter(PATH, two, true)];
  tenancy.answered({ type: "entry", ask: 1, rejected: null });
  tenancy.answered({ type: "entry", ask: 2, rejected: "another client uses this address" });
  assert.deepEqual(await Promise.all(entering), [
    { type: "entered", replaced: null },
    { type: "rejected", reason: "another client uses this address" },
  ]);
  assert.deepEqual([tenancy.size, clients.here], [1, 1]);
  posted.length = 0;
  tenancy.leave(PATH, two);
  tenancy.leave(PATH, one);
  tenancy.leave(PATH, one);
  assert.deepEqual(posted, [{ type: "leave", path: PATH, id: 1 }]);
  assert.deepEqual([tenancy.size, clients.here], [0, 0]);
});

Deno.test("remote tenancy: a client whose place was taken elsewhere hears of it, even before its own answer", () => {
  const { clients, tenancy } = scene();
  const replaced: string[] = [];
  tenancy.onReplaced = (client: { id: number }, path) => replaced.push(`${client.id} ${path.key}`);
  void tenancy.enter(PATH, { id: 7 }, false);
  tenancy.replaced(7);
  tenancy.replaced(7);
  tenancy.answered({ type: "entry", ask: 1, rejected: null });
  assert.deepEqual(replaced, ["7 sip/alice@example.com"]);
  assert.equal(clients.here, 0);
});
