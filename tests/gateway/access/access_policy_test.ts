import assert from "node:assert/strict";
import { type AccessOptions, AccessPolicy } from "../../../lib/gateway/access/access_policy.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";

const OPEN: AccessOptions = {
  users: null,
  token: null,
  domains: null,
  dials: null,
  connectionsPerAddress: 0,
  failedLogins: 0,
  callsPerAddress: 0,
};

function policy(some: Partial<AccessOptions>): AccessPolicy {
  return new AccessPolicy({ ...OPEN, ...some }, { clock: new FakeClock(), log: new RecordLog() });
}

const TARGET = { user: "7140", host: "example.com" };

Deno.test("an open policy lets everybody do everything", async () => {
  const open = policy({});
  assert.equal(open.asksForLogin, false);
  assert.equal(open.admit("192.0.2.1").type, "admitted");
  assert.equal(open.mayUse("example.com").type, "allowed");
  assert.equal(open.mayDial(TARGET).type, "allowed");
  const nobody = { user: null, password: null, token: null };
  const { type } = await open.login("192.0.2.1", nobody, new AbortController().signal);
  assert.equal(type, "accepted");
});

Deno.test("each rule reaches its question", () => {
  const strict = policy({
    token: "0123456789abcdef",
    domains: ["example.com"],
    dials: [{ wantsHost: false, match: (text) => text.startsWith("7") ? [] : null }],
    connectionsPerAddress: 1,
    callsPerAddress: 1,
  });
  assert.equal(strict.asksForLogin, true);
  assert.equal(strict.admit("192.0.2.1").type, "admitted");
  assert.equal(strict.admit("192.0.2.1").type, "refused");
  assert.equal(strict.mayUse("example.net").type, "refused");
  assert.equal(strict.mayDial({ user: "0900", host: "example.com" }).type, "refused");
  strict.replaceLogins({ users: null, token: null });
  assert.equal(strict.asksForLogin, false);
});

Deno.test("a call counts, one that may not be dialled does not", () => {
  const limited = policy({ domains: ["example.com"], callsPerAddress: 1 });
  const other = { user: "7140", host: "evil.example" };
  for (let i = 0; i < 3; i++) assert.equal(limited.mayCall("192.0.2.1", other).type, "refused");
  assert.deepEqual(limited.mayCall("192.0.2.1", TARGET), { type: "allowed" });
  assert.deepEqual(limited.mayCall("192.0.2.1", TARGET), {
    type: "refused",
    reason: "1 calls a minute are the limit of one address (max-calls-per-address)",
  });
  assert.deepEqual(limited.mayDial(TARGET), { type: "allowed" }, "asking alone costs nothing");
  assert.deepEqual(limited.mayCall("192.0.2.2", TARGET), { type: "allowed" });
});
