import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { createSelfSigned } from "../../scripts/self_signed.ts";

Deno.test("a self-signed certificate names its hosts, is no authority, and its signature is its own", async () => {
  const from = Date.UTC(2026, 10, 23);
  const { certificate, privateKey } = await createSelfSigned(["gateway.test", "192.0.2.7"], from);
  const parsed = new X509Certificate(certificate);
  assert.match(parsed.subject, /^CN\s?=\s?gateway\.test$/);
  assert.equal(parsed.subject, parsed.issuer);
  assert.equal(parsed.ca, false);
  assert.equal(new Date(parsed.validFrom).getTime(), from - 86_400_000);
  assert.equal(new Date(parsed.validTo).getTime(), from + 90 * 86_400_000);
  assert.match(privateKey, /^-----BEGIN PRIVATE KEY-----\n/);
});

Deno.test("a client that trusts the certificate completes a handshake, many times over", async () => {
  // Signatures have leading zeros or high bits at random: several rounds meet them all.
  for (let round = 0; round < 12; round++) {
    const { certificate, privateKey } = await createSelfSigned();
    using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert: certificate, key: privateKey });
    const connecting = Deno.connectTls({
      hostname: round % 2 === 0 ? "localhost" : "127.0.0.1",
      port: listener.addr.port,
      caCerts: [certificate],
    });
    using server = await listener.accept();
    using client = await connecting;
    await Promise.all([server.handshake(), client.handshake()]);
  }
});

Deno.test("two pairs are never the same", async () => {
  const [one, other] = [await createSelfSigned(), await createSelfSigned()];
  assert.notEqual(one.certificate, other.certificate);
  assert.notEqual(one.privateKey, other.privateKey);
});
