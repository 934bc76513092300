import assert from "node:assert/strict";
import type { SameAddressPolicy } from "../../lib/config/accounts.ts";
import type { DialogRecord } from "../../lib/sip/ua/worker_events.ts";
import type { ToWorker } from "../../lib/workers/messages.ts";
import { TeamState } from "../../lib/workers/team_state.ts";

const ALICE = { address: "alice@example.com", key: "sip/alice@example.com" };

const DIALOG: DialogRecord = {
  id: "d1",
  callId: "c",
  localText: "<sip:a@x>;tag=1",
  remoteText: "<sip:b@y>;tag=2",
  localContact: null,
  routes: [],
  remoteTarget: "sip:b@y",
  localCSeq: 1,
  fallback: { transport: "udp", endpoint: { hostname: "192.0.2.1", port: 5060 } },
};

function team(policy: SameAddressPolicy = "replace", workers = 3) {
  const posted: [worker: number, message: ToWorker][] = [];
  const state = new TeamState({
    sameAddress: { policy, accounts: [] },
    workers,
    post: (worker, message) => void posted.push([worker, message]),
  });
  for (let worker = 0; worker < workers; worker++) {
    state.opening(worker);
    state.opened({ worker, sipPort: 5060 + worker, relay: null });
  }
  const take = (): typeof posted => posted.splice(0);
  take();
  return { state, take };
}

Deno.test("team: users and addresses are told to the others, and to who begins later", () => {
  const { state, take } = team();
  const news = { line: "1.a", user: "alice", host: "example.com", port: null, ownsAddress: false };
  state.take(1, { type: "came", news });
  const user = { worker: 1, ...news };
  assert.deepEqual(take(), [[0, { type: "came", user }], [2, { type: "came", user }]]);
  const change = { type: "came", key: "192.0.2.9" } as const;
  state.take(1, { type: "address", change });
  state.take(1, { type: "address", change });
  assert.deepEqual(take().map(([worker]) => worker), [0, 2, 0, 2]);
  state.gone(2);
  take();
  const opening = state.opening(2);
  assert.deepEqual(opening.workers.map(({ worker }) => worker), [0, 1]);
  assert.deepEqual([opening.remoteUsers, opening.addresses], [[user], [change, change]]);
  // It has not opened yet, and hears what happens meanwhile.
  state.take(1, { type: "left", line: "1.a" });
  assert.deepEqual(take(), [[0, { type: "left", line: "1.a" }], [2, { type: "left", line: "1.a" }]]);
});

Deno.test("team: a worker that is gone leaves nothing behind but its calls, which are given back once", () => {
  const { state, take } = team();
  state.take(1, {
    type: "came",
    news: { line: "1.a", user: "alice", host: "x", port: null, ownsAddress: false },
  });
  state.take(1, { type: "address", change: { type: "came", key: "k" } });
  state.take(1, { type: "address", change: { type: "called", key: "k" } });
  state.take(1, { type: "dialog", record: DIALOG });
  state.take(1, { type: "dialog", record: { ...DIALOG, remoteTarget: "sip:b@moved" } });
  state.take(1, { type: "dialog", record: { ...DIALOG, id: "d2" } });
  state.take(1, { type: "dialog ended", id: "d2" });
  state.take(1, { type: "enter", ask: 1, path: ALICE, registered: false, id: 5 });
  take();
  assert.deepEqual(state.gone(1), [{ ...DIALOG, remoteTarget: "sip:b@moved" }]);
  const left = { type: "address", change: { type: "left", key: "k" } } as const;
  assert.deepEqual(take(), [
    [0, { type: "gone", worker: 1 }],
    [2, { type: "gone", worker: 1 }],
    [0, left],
    [2, left],
  ]);
  assert.deepEqual(state.gone(1), []);
  assert.deepEqual(state.opening(1).remoteUsers, []);
  take();
  // Alice's place is free: nobody is replaced.
  state.take(0, { type: "enter", ask: 9, path: ALICE, registered: false, id: 6 });
  assert.deepEqual(take(), [[0, { type: "entry", ask: 9, rejected: null }]]);
});

Deno.test("team: a newer client replaces the older one wherever it is; an older one comes too late", () => {
  const { state, take } = team();
  state.take(0, { type: "arrive", ask: 1, path: ALICE, registers: false });
  state.take(0, { type: "enter", ask: 2, path: ALICE, registered: false, id: 10 });
  state.take(2, { type: "enter", ask: 1, path: ALICE, registered: false, id: 12 });
  assert.deepEqual(take(), [
    [0, { type: "arrival", ask: 1, arrival: { type: "welcome", shared: false } }],
    [0, { type: "entry", ask: 2, rejected: null }],
    [0, { type: "replaced", id: 10 }],
    [2, { type: "entry", ask: 1, rejected: null }],
  ]);
  state.take(1, { type: "enter", ask: 1, path: ALICE, registered: false, id: 11 });
  state.take(0, { type: "leave", path: ALICE, id: 10 }); // it was replaced: frees nothing
  state.take(1, { type: "arrive", ask: 2, path: ALICE, registers: false });
  const answers = take().map(([, message]) => message);
  assert.deepEqual(answers[0], {
    type: "entry",
    ask: 1,
    rejected: "a newer client connected to the same address",
  });
});

Deno.test("team: reject and share count all workers", () => {
  const rejecting = team("reject");
  rejecting.state.take(0, { type: "enter", ask: 1, path: ALICE, registered: false, id: 1 });
  rejecting.take();
  rejecting.state.take(1, { type: "arrive", ask: 7, path: ALICE, registers: false });
  const refused = { type: "rejected", reason: "another client uses this address" } as const;
  assert.deepEqual(rejecting.take(), [[1, { type: "arrival", ask: 7, arrival: refused }]]);
  rejecting.state.take(0, { type: "leave", path: ALICE, id: 1 });
  rejecting.state.take(1, { type: "arrive", ask: 8, path: ALICE, registers: false });
  assert.deepEqual(rejecting.take(), [
    [1, { type: "arrival", ask: 8, arrival: { type: "welcome", shared: false } }],
  ]);

  const sharing = team("share");
  for (let id = 1; id <= 32; id++) {
    sharing.state.take(id % 3, { type: "enter", ask: id, path: ALICE, registered: false, id });
  }
  sharing.take();
  sharing.state.take(0, { type: "enter", ask: 40, path: ALICE, registered: false, id: 40 });
  const full = { type: "entry", ask: 40, rejected: "too many clients share this address" } as const;
  assert.deepEqual(sharing.take(), [[0, full]]);
});

Deno.test("team: SIP messages go to whom they are for, with whose they were", () => {
  const { state, take } = team();
  const flow = {
    transport: "udp",
    remote: { hostname: "192.0.2.1", port: 1 },
    local: { hostname: "192.0.2.2", port: 5060 },
    connectionId: 0,
  } as const;
  const bytes = Uint8Array.of(1);
  state.take(0, { type: "hand over", to: 2, message: { bytes, flow } });
  const target = { transport: "udp", endpoint: flow.remote, flow } as const;
  state.take(2, { type: "relay", to: 0, message: { bytes, target } });
  assert.deepEqual(take(), [
    [2, { type: "handed", from: 0, message: { bytes, flow } }],
    [0, { type: "relayed", message: { bytes, target } }],
  ]);
});

Deno.test("team state: a client without a password does not take the place of a registered one of another worker", () => {
  const { state, take } = team();
  state.take(1, { type: "enter", ask: 1, path: ALICE, id: 11, registered: true });
  state.take(0, { type: "arrive", ask: 2, path: ALICE, registers: false });
  state.take(0, { type: "enter", ask: 3, path: ALICE, id: 12, registered: false });
  const answers = JSON.stringify(take());
  assert.match(answers, /"type":"arrival","ask":2,"arrival":{"type":"rejected"/);
  assert.match(answers, /"type":"entry","ask":3,"rejected":"a client that gave a password is registered/);
  assert.doesNotMatch(answers, /"type":"replaced"/);
  state.take(2, { type: "enter", ask: 4, path: ALICE, id: 13, registered: true });
  assert.match(JSON.stringify(take()), /"type":"replaced","id":11/);
});
