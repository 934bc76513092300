import assert from "node:assert/strict";
import {
  DEFAULT_TRANSPORT,
  defaultViaPort,
  findTransport,
  isReliable,
  transportNames,
  transportRow,
} from "../../../lib/sip/message/transports.ts";

Deno.test("transports: what is said of each agrees", () => {
  for (const name of transportNames) {
    const row = transportRow(name);
    assert.equal(row.via, name.toUpperCase());
    assert.equal(row.srvPrefix, `_sip${row.secure ? "s" : ""}._${row.secure ? "tcp" : name}.`);
    assert.equal(row.naptrService.startsWith("SIPS+"), row.secure);
    assert.equal(row.uriParameter === null, name === DEFAULT_TRANSPORT);
    assert.equal(row.forLargeRequests === null, row.reliable, "only datagrams are too small");
    assert.equal(defaultViaPort(row.via), row.defaultPort);
  }
});

Deno.test("transports: by name, in any case", () => {
  const table: [string, string | null][] = [["udp", "udp"], ["TCP", "tcp"], ["tls", null], ["", null], [
    "sctp",
    null,
  ]];
  for (const [name, found] of table) assert.equal(findTransport(name), found, name);
  assert.deepEqual([isReliable("udp"), isReliable("tcp")], [false, true]);
  assert.deepEqual([defaultViaPort("TLS"), defaultViaPort("SCTP"), defaultViaPort("UDP")], [
    5061,
    5060,
    5060,
  ]);
});

/** Sockets know which of them they are; the keep-alive of RFC 5626 is one of datagrams or of connections. */
const SOCKETS = ["transport/transport.ts", "transport/sender.ts", "transport/connection_pool.ts"];

Deno.test("transports: nobody in lib/sip but sockets asks for one by name", async () => {
  const found: string[] = [];
  for (const folder of ["message", "transaction", "transport", "ua"]) {
    const url = new URL(`../../../lib/sip/${folder}/`, import.meta.url);
    for await (const { name } of Deno.readDir(url)) {
      const path = `${folder}/${name}`;
      if (SOCKETS.includes(path) || path === "message/transports.ts") continue;
      const text = await Deno.readTextFile(new URL(name, url));
      if (/"(?:udp|tcp|UDP|TCP)"/.test(text)) found.push(path);
    }
  }
  assert.deepEqual(found, []);
});
