// The certificate and key of the configuration, read from their files at the start and again when told.
// Role: edge

import { ConfigError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { TlsConfig } from "../config/entrance_config.ts";
import { readTextFile } from "../net/text_file.ts";
import { TlsIdentity } from "../net/tls.ts";
import { type TlsPem, validityProblem } from "../net/tls_pem.ts";

export type TlsFiles = Pick<TlsConfig, "certificateFile" | "keyFile">;

/** The certificate of these files. Throws TransportError and ConfigError, in words that name the files. */
export async function openTlsFiles(files: TlsFiles, log: Logger): Promise<TlsIdentity> {
  const pem = await readPem(files);
  const identity = named(files, () => new TlsIdentity(pem));
  warn(files, identity, log);
  return identity;
}

/** Reads them again: later connections are shown what is in them now. Throws as above, and keeps what it had. */
export async function reloadTlsFiles(files: TlsFiles, identity: TlsIdentity, log: Logger): Promise<void> {
  const pem = await readPem(files);
  named(files, () => identity.replace(pem));
  warn(files, identity, log);
}

async function readPem({ certificateFile, keyFile }: TlsFiles): Promise<TlsPem> {
  return { certificate: await readTextFile(certificateFile), privateKey: await readTextFile(keyFile) };
}

function named<T>({ certificateFile, keyFile }: TlsFiles, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${certificateFile} and ${keyFile}: ${error.message}`);
  }
}

function warn({ certificateFile }: TlsFiles, { pem }: TlsIdentity, log: Logger): void {
  const problem = validityProblem(pem, Date.now());
  if (problem !== null) log.warn(`the certificate in ${certificateFile} ${problem}: clients will refuse it`);
}
