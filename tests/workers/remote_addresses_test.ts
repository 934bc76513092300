import assert from "node:assert/strict";
import { LocalCounter } from "../../lib/base/counter.ts";
import type { FromWorker } from "../../lib/workers/messages.ts";
import { RemoteAddresses } from "../../lib/workers/remote_addresses.ts";

const PATH = { address: "alice@example.com", key: "sip/alice@example.com" };

function scene() {
  const posted: FromWorker[] = [];
  const clients = new LocalCounter();
  return { posted, clients, sipAddresses: new RemoteAddresses((message) => posted.push(message), clients) };
}

Deno.test("remote sipAddresses: each question gets its own answer", async () => {
  const { posted, sipAddresses } = scene();
  const first = sipAddresses.arrive(PATH, false);
  const second = sipAddresses.arrive({ ...PATH, key: "sip/alice@example.com/x" }, true);
  assert.deepEqual(posted.map((message) => message.type === "arrive" && message.ask), [1, 2]);
  sipAddresses.answered({ type: "arrival", ask: 2, arrival: { type: "rejected", reason: "full" } });
  sipAddresses.answered({ type: "arrival", ask: 1, arrival: { type: "welcome", shared: true } });
  sipAddresses.answered({ type: "arrival", ask: 9, arrival: { type: "welcome", shared: true } });
  assert.deepEqual(await first, { type: "welcome", shared: true });
  assert.deepEqual(await second, { type: "rejected", reason: "full" });
});

Deno.test("remote sipAddresses: who enters counts, who is rejected or leaves does not", async () => {
  const { posted, clients, sipAddresses } = scene();
  const [one, two] = [{ id: 1 }, { id: 2 }];
  const entering = [sipAddresses.enter(PATH, one, false), sipAddresses.enter(PATH, two, true)];
  sipAddresses.answered({ type: "entry", ask: 1, rejected: null });
  sipAddresses.answered({ type: "entry", ask: 2, rejected: "another client uses this address" });
  assert.deepEqual(await Promise.all(entering), [
    { type: "entered", replaced: null },
    { type: "rejected", reason: "another client uses this address" },
  ]);
  assert.deepEqual([sipAddresses.size, clients.here], [1, 1]);
  posted.length = 0;
  sipAddresses.leave(PATH, two);
  sipAddresses.leave(PATH, one);
  sipAddresses.leave(PATH, one);
  assert.deepEqual(posted, [{ type: "leave", path: PATH, id: 1 }]);
  assert.deepEqual([sipAddresses.size, clients.here], [0, 0]);
});

Deno.test("remote sipAddresses: a client whose place was taken elsewhere hears of it, even before its own answer", () => {
  const { clients, sipAddresses } = scene();
  const replaced: string[] = [];
  sipAddresses.onReplaced = (client: { id: number }, path) => replaced.push(`${client.id} ${path.key}`);
  void sipAddresses.enter(PATH, { id: 7 }, false);
  sipAddresses.replaced(7);
  sipAddresses.replaced(7);
  sipAddresses.answered({ type: "entry", ask: 1, rejected: null });
  assert.deepEqual(replaced, ["7 sip/alice@example.com"]);
  assert.equal(clients.here, 0);
});
