// Answers to: lib/gateway/shared_address.ts. FAQ 18: several clients on one SIP address.

import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAppPath } from "../../lib/gateway/urls.ts";
import type { SameAddressPolicy } from "../../lib/config/accounts.ts";
import {
  type AddressClient,
  AddressRegistry,
  type ClientPath,
  MAX_SHARING,
} from "../../lib/gateway/shared_address.ts";

function pathOf(app: string): ClientPath {
  const path = parseAppPath(app);
  return path.type === "sip" ? path : assert.fail(JSON.stringify(path));
}

const ALICE = pathOf("sip/alice@example.com");
const RANDOM = pathOf("sip/alice@example.com/1");

/** One line per step: "1 in", "2 in, 1 out", "3 rejected: ...". */
class House {
  readonly sipAddresses: AddressRegistry<AddressClient>;
  readonly inside = new Map<number, ClientPath>();

  constructor(policy: SameAddressPolicy) {
    this.sipAddresses = new AddressRegistry({ policy, accounts: [] });
  }

  connect(id: number, path: ClientPath, registers = false): string {
    const arrival = this.sipAddresses.arrive(path, registers);
    return arrival.type === "rejected"
      ? `${id} rejected early: ${arrival.reason}`
      : this.enter(id, path, registers);
  }

  enter(id: number, path: ClientPath, registered = false): string {
    const entry = this.sipAddresses.enter(path, this.#client(id), registered);
    if (entry.type === "rejected") return `${id} rejected: ${entry.reason}`;
    this.inside.set(id, path);
    if (entry.replaced === null) return `${id} in`;
    this.inside.delete(entry.replaced.id);
    return `${id} in, ${entry.replaced.id} out`;
  }

  leave(id: number, path: ClientPath): void {
    this.inside.delete(id);
    this.sipAddresses.leave(path, this.#client(id));
  }

  readonly #clients = new Map<number, AddressClient>();
  #client(id: number): AddressClient {
    const client = this.#clients.get(id) ?? { id };
    this.#clients.set(id, client);
    return client;
  }
}

const OCCUPIED = "another client uses this address";

const RULES: [policy: SameAddressPolicy, second: ClientPath, said: string][] = [
  ["replace", ALICE, "2 in, 1 out"],
  ["replace", pathOf("sip/alice@EXAMPLE.com"), "2 in, 1 out"],
  ["replace", pathOf("sip/Alice@example.com"), "2 in"],
  ["replace", RANDOM, "2 in"],
  ["share", ALICE, "2 in"],
  ["share", RANDOM, "2 in"],
  ["reject", ALICE, `2 rejected early: ${OCCUPIED}`],
  ["reject", RANDOM, "2 in"],
];

for (const [policy, second, said] of RULES) {
  Deno.test(`FAQ 18: ${policy}: after ${ALICE.key} comes ${second.key}: ${said}`, () => {
    const house = new House(policy);
    assert.equal(house.connect(1, ALICE), "1 in");
    assert.equal(house.connect(2, second), said);
    assert.equal(house.sipAddresses.size, house.inside.size);
    for (const [id, path] of house.inside) house.leave(id, path);
    assert.equal(house.sipAddresses.size, 0);
    assert.equal(house.connect(3, ALICE), "3 in");
  });
}

const TAKEN = "a client that gave a password is registered at this address: connect with login and password";
const SUFFIXED = pathOf("sip/alice@example.com/phone");

/** Clients in turn: with a password that the registrar took, or without; and what is said to the last of them. */
const PROOFS: [policy: SameAddressPolicy, clients: [path: ClientPath, registers: boolean][], said: string][] =
  [
    ["replace", [[ALICE, true], [ALICE, false]], `2 rejected early: ${TAKEN}`],
    ["replace", [[ALICE, true], [pathOf("sip/alice@EXAMPLE.COM"), false]], `2 rejected early: ${TAKEN}`],
    ["replace", [[ALICE, true], [pathOf("sip/%61lice@example.com/"), false]], `2 rejected early: ${TAKEN}`],
    ["replace", [[ALICE, true], [pathOf("sip/alice:x@example.com"), false]], `2 rejected early: ${TAKEN}`],
    ["replace", [[SUFFIXED, true], [SUFFIXED, false]], `2 rejected early: ${TAKEN}`],
    ["replace", [[ALICE, true], [SUFFIXED, false]], "2 in"],
    ["replace", [[ALICE, true], [ALICE, true]], "2 in, 1 out"],
    ["replace", [[ALICE, false], [ALICE, true]], "2 in, 1 out"],
    ["replace", [[ALICE, false], [ALICE, false]], "2 in, 1 out"],
    ["replace", [[ALICE, false], [ALICE, true], [ALICE, false]], `3 rejected early: ${TAKEN}`],
    ["share", [[ALICE, true], [ALICE, false]], `2 rejected early: ${TAKEN}`],
    ["share", [[ALICE, true], [SUFFIXED, false]], `2 rejected early: ${TAKEN}`],
    ["share", [[ALICE, false], [ALICE, true]], "2 in"],
    ["share", [[ALICE, true], [ALICE, true]], "2 in"],
    ["reject", [[ALICE, true], [ALICE, false]], `2 rejected early: ${OCCUPIED}`],
    ["reject", [[ALICE, true], [ALICE, true]], `2 rejected early: ${OCCUPIED}`],
    ["reject", [[ALICE, false], [ALICE, true]], "2 in, 1 out"],
  ];

for (const [policy, clients, said] of PROOFS) {
  const words = clients.map(([path, registers]) => `${path.key}${registers ? " with password" : ""}`);
  Deno.test(`sipAddresses: ${policy}: ${words.join(", then ")}: ${said}`, () => {
    const house = new House(policy);
    const heard = clients.map(([path, registers], index) => house.connect(index + 1, path, registers));
    assert.equal(heard.at(-1), said);
    for (const [id, path] of [...house.inside]) house.leave(id, path);
    assert.equal(house.sipAddresses.size, 0);
    assert.equal(house.connect(9, ALICE), "9 in", "a place that is free is free for all");
  });
}

Deno.test("sipAddresses: who registers while a newer client without a password comes in takes its place", () => {
  for (const policy of ["replace", "reject"] as const) {
    const house = new House(policy);
    assert.equal(house.sipAddresses.arrive(ALICE, true).type, "welcome");
    assert.equal(house.connect(2, ALICE), "2 in");
    assert.equal(house.enter(1, ALICE, true), "1 in, 2 out");
  }
});

Deno.test("sipAddresses: clients without a password cannot fill a shared address for those who register", () => {
  const house = new House("share");
  for (let id = 0; id < MAX_SHARING; id++) house.connect(id, ALICE);
  assert.equal(house.connect(50, ALICE, true), "50 in");
});

Deno.test("sipAddresses: only share joins a registration", () => {
  const shared = (policy: SameAddressPolicy) =>
    new AddressRegistry({ policy, accounts: [] }).arrive(ALICE, false);
  assert.deepEqual(shared("replace"), { type: "welcome", shared: false });
  assert.deepEqual(shared("reject"), { type: "welcome", shared: false });
  assert.deepEqual(shared("share"), { type: "welcome", shared: true });
});

Deno.test("sipAddresses: clients that register at a time: the newer stays; under reject the faster", () => {
  for (
    const [policy, said] of [
      ["replace", ["2 in", "1 rejected: a newer client connected to the same address"]],
      ["reject", ["2 in", `1 rejected: ${OCCUPIED}`]],
      ["share", ["2 in", "1 in"]],
    ] as const
  ) {
    const house = new House(policy);
    for (const _ of [1, 2]) assert.equal(house.sipAddresses.arrive(ALICE, false).type, "welcome");
    assert.deepEqual([house.enter(2, ALICE), house.enter(1, ALICE)], said);
  }
});

Deno.test("sipAddresses: a client that was replaced leaves without harm to its successor", () => {
  const house = new House("replace");
  house.connect(1, ALICE);
  house.connect(2, ALICE);
  house.leave(1, ALICE);
  house.leave(1, ALICE);
  assert.equal(house.sipAddresses.size, 1);
  assert.equal(house.connect(3, ALICE), "3 in, 2 out");
});

Deno.test("sipAddresses: accounts may differ from the rest", () => {
  const sipAddresses = new AddressRegistry<AddressClient>({
    policy: "replace",
    accounts: [{ address: "reception@example.com", sameAddress: "share" }, {
      address: "*@strict.example",
      sameAddress: "reject",
    }],
  });
  const enter = (app: string, id: number) => {
    const path = pathOf(app);
    return sipAddresses.enter(path, { id }, false);
  };
  enter("sip/reception@example.com", 1);
  assert.deepEqual(enter("sip/reception@example.com/x", 2), { type: "entered", replaced: null });
  enter("sip/bob@strict.example", 3);
  assert.equal(enter("sip/bob@strict.example", 4).type, "rejected");
  enter("sip/bob@example.com", 5);
  assert.deepEqual(enter("sip/bob@example.com", 6), { type: "entered", replaced: { id: 5 } });
});

Deno.test("sipAddresses: sharing is bounded, and a place that became free is free", () => {
  const house = new House("share");
  for (let id = 0; id < MAX_SHARING; id++) assert.equal(house.connect(id, RANDOM), `${id} in`);
  assert.equal(house.connect(99, ALICE), "99 rejected early: too many clients share this address");
  house.leave(0, RANDOM);
  assert.equal(house.connect(100, ALICE), "100 in");
});

Deno.test("sipAddresses: whatever comes and goes, nobody is forgotten and no place is kept for nobody", () => {
  const paths = [ALICE, RANDOM, pathOf("sip/bob@example.com")];
  const step = fc.record({
    id: fc.nat(9),
    path: fc.constantFrom(...paths),
    leaves: fc.boolean(),
    registers: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.constantFrom<SameAddressPolicy>("replace", "share", "reject"),
      fc.array(step),
      (policy, steps) => {
        const house = new House(policy);
        for (const [order, { id, path, leaves, registers }] of steps.entries()) {
          const known = house.inside.get(id);
          if (known !== undefined && leaves) house.leave(id, known);
          else house.connect(100 + order, path, registers);
          assert.equal(house.sipAddresses.size, house.inside.size);
          if (policy !== "share") {
            assert.equal(
              new Set([...house.inside.values()].map(({ key }) => key)).size,
              house.inside.size,
            );
          }
        }
        for (const [id, path] of [...house.inside]) house.leave(id, path);
        assert.equal(house.sipAddresses.size, 0);
      },
    ),
  );
});
