// Certificate and key from their files: what is wrong names the files, what is out of its time is a warning.

import assert from "node:assert/strict";
import { ConfigError, TransportError } from "../../lib/base/errors.ts";
import { openTlsFiles, reloadTlsFiles } from "../../lib/gateway/tls_files.ts";
import { createSelfSigned, type SelfSigned } from "../../scripts/self_signed.ts";
import { inFolder } from "../support/live_flv.ts";
import { RecordLog } from "../support/record_log.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

Deno.test("read, exchanged, kept when the new one is wrong; an old one is used with a warning", () =>
  inFolder(async (folder) => {
    const files = {
      listen: { hostname: "127.0.0.1", port: 0 },
      certificateFile: `${folder}/cert.pem`,
      keyFile: `${folder}/key.pem`,
    };
    const write = async ({ certificate, privateKey }: SelfSigned): Promise<void> => {
      await Deno.writeTextFile(files.certificateFile, certificate);
      await Deno.writeTextFile(files.keyFile, privateKey);
    };
    const log = new RecordLog();
    await assert.rejects(openTlsFiles(files, log), TransportError);
    const first = await createSelfSigned();
    await write(first);
    const identity = await openTlsFiles(files, log);
    assert.deepEqual(log.lines, []);
    const other = await createSelfSigned();
    await write({ ...other, privateKey: first.privateKey });
    await assert.rejects(reloadTlsFiles(files, identity, log), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /cert\.pem and .*key\.pem: .*the key is not that of the certificate$/);
      return true;
    });
    assert.equal(identity.pem.certificate.trim(), first.certificate.trim());
    await write(await createSelfSigned(["localhost"], Date.now() - 100 * DAY_MS));
    await reloadTlsFiles(files, identity, log);
    assert.match(log.lines.join("\n"), /^warn .*cert\.pem has expired \(.*\): clients will refuse it$/);
  }));
