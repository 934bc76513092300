import assert from "node:assert/strict";
import { parseSipUri } from "../../lib/sip/message/uri.ts";
import { linePrefixOf, UserDirectory } from "../../lib/workers/user_directory.ts";

function directory(...rows: [worker: number, line: string, address: string][]): UserDirectory {
  const users = new UserDirectory();
  for (const [worker, line, address] of rows) {
    const [user = "", host = ""] = address.split("@");
    users.add({ worker, line, user, host, port: null, ownsAddress: false });
  }
  return users;
}

const users = directory(
  [0, "0.a", "alice@one.example"],
  [1, "1.a", "alice@two.example"],
  [2, "2.b", "bob@one.example"],
);

const FOUND: [uri: string, worker: number | null][] = [
  ["sip:alice@One.Example", 0],
  ["sip:alice@two.example", 1],
  ["sip:alice@192.0.2.1:5060", 1], // nobody has this domain: the newest with the name
  ["sip:bob@nowhere", 2],
  ["sip:Bob@one.example", null], // user parts are compared with their case
  ["sip:one.example", null],
  ["sip:carol@one.example", null],
  ["sip:nobody@nowhere;line=1.a", 1],
  ["sip:bob@one.example;line=1.gone", null], // whoever has the port says that it has gone
  ["sip:bob@one.example;line=old", null],
];

for (const [uri, worker] of FOUND) {
  Deno.test(`directory: ${uri} is ${worker === null ? "nobody's" : `worker ${worker}'s`}`, () => {
    assert.equal(users.find(parseSipUri(uri)), worker);
  });
}

Deno.test("directory: lines tell whose they are", () => {
  assert.deepEqual([linePrefixOf(0), linePrefixOf(12)], ["0.", "12."]);
  assert.deepEqual([users.ownerOf("2.b"), users.ownerOf("2.c"), users.ownerOf("")], [2, null, null]);
});

Deno.test("directory: users leave one by one, or all of a worker", () => {
  const rows = directory([0, "0.a", "a@x"], [1, "1.a", "a@x"], [1, "1.b", "b@x"], [0, "0.a", "a@y"]);
  assert.deepEqual(rows.all().map(({ line }) => line), ["1.a", "1.b", "0.a"]);
  rows.remove("1.a");
  rows.remove("1.a");
  assert.equal(rows.find(parseSipUri("sip:a@x")), 0);
  rows.removeWorker(1);
  assert.deepEqual([rows.size, rows.find(parseSipUri("sip:b@x"))], [1, null]);
  rows.remove("0.a");
  assert.deepEqual([rows.size, rows.find(parseSipUri("sip:a@y"))], [0, null]);
});
