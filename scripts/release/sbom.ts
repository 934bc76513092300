// The software bill of materials of a release: SPDX 2.3 as JSON, made from deno.lock and the recipes of the codec modules.
// Role: wire

import type { Recipe } from "../codecs/recipe.ts";
import { CODEC_LICENCES, RUNTIME_PARTS } from "./parts.ts";
import type { NpmPackage } from "./production.ts";

export interface BillOfMaterials {
  readonly version: string;
  readonly commit: string;
  /** Of the Deno whose runtime is in the executables. */
  readonly deno: string;
  readonly v8: string;
  /** Each with the licence that its package.json names. */
  readonly packages: readonly (NpmPackage & { readonly licence: string })[];
  readonly recipes: readonly Recipe[];
  /** Of the commit, so that two builds give one file. ISO 8601. */
  readonly created: string;
}

interface SpdxPackage {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo: string;
  readonly downloadLocation: string;
  readonly filesAnalyzed: false;
  readonly licenseConcluded: string;
  readonly licenseDeclared: string;
  readonly copyrightText: string;
  readonly checksums?: readonly { readonly algorithm: string; readonly checksumValue: string }[];
  readonly externalRefs?: readonly Record<string, string>[];
}

const PROGRAM = "SPDXRef-siprtmp";

export function formatSbom(bill: BillOfMaterials): string {
  const parts = [...npmPackages(bill), ...codecPackages(bill), ...runtimePackages(bill)];
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: `siprtmp-${bill.version}`,
    documentNamespace: `https://spdx.org/spdxdocs/siprtmp-${bill.version}-${bill.commit}`,
    creationInfo: { created: bill.created, creators: [`Tool: siprtmp-${bill.version}`] },
    packages: [programPackage(bill), ...parts],
    relationships: [
      relation("SPDXRef-DOCUMENT", "DESCRIBES", PROGRAM),
      ...parts.map(({ SPDXID }) => relation(PROGRAM, "CONTAINS", SPDXID)),
    ],
  };
  return JSON.stringify(document, null, 2) + "\n";
}

function relation(from: string, type: string, to: string): Record<string, string> {
  return { spdxElementId: from, relationshipType: type, relatedSpdxElement: to };
}

function spdxPackage(
  { kind, name, version, licence }: { kind: string; name: string; version: string; licence: string },
  more: Partial<SpdxPackage> = {},
): SpdxPackage {
  return {
    SPDXID: `SPDXRef-${kind}-${name.replace(/[^A-Za-z0-9.-]+/g, "-").replace(/^-/, "")}`,
    name,
    versionInfo: version,
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    licenseConcluded: "NOASSERTION",
    licenseDeclared: licence,
    copyrightText: "NOASSERTION",
    ...more,
  };
}

function programPackage({ version, commit }: BillOfMaterials): SpdxPackage {
  const own = spdxPackage({ kind: "", name: "siprtmp", version, licence: "GPL-3.0-or-later" });
  return {
    ...own,
    SPDXID: PROGRAM,
    externalRefs: [purl(`pkg:generic/siprtmp@${version}?vcs_ref=${commit}`)],
  };
}

function npmPackages({ packages }: BillOfMaterials): SpdxPackage[] {
  return packages.map(({ name, version, licence, integrity }) =>
    spdxPackage({ kind: "npm", name, version, licence }, {
      checksums: [{ algorithm: "SHA512", checksumValue: hexOf(integrity) }],
      externalRefs: [purl(`pkg:npm/${name.replace(/^@/, "%40")}@${version}`)],
    })
  );
}

/** One archive may be in several modules. */
function codecPackages({ recipes }: BillOfMaterials): SpdxPackage[] {
  const archives = new Map(recipes.map(({ archive }) => [archive.sha256, archive]));
  return [...archives.values()].map(({ fileName, sha256, urls }) => {
    const [, name = fileName, version = ""] = /^([\w-]{1,64})-([\d.]{1,32})\.tar\.gz$/.exec(fileName) ?? [];
    return spdxPackage({ kind: "codec", name, version, licence: CODEC_LICENCES[name] ?? "NOASSERTION" }, {
      downloadLocation: urls[0] ?? "NOASSERTION",
      checksums: [{ algorithm: "SHA256", checksumValue: sha256 }],
      externalRefs: [purl(`pkg:generic/${name}@${version}`)],
    });
  });
}

function runtimePackages({ deno, v8 }: BillOfMaterials): SpdxPackage[] {
  const versions: Record<string, string> = { Deno: deno, V8: v8 };
  return RUNTIME_PARTS.map(({ name, licence }) =>
    spdxPackage({ kind: "runtime", name, version: versions[name] ?? `as in Deno ${deno}`, licence }, {
      ...(versions[name] !== undefined && {
        externalRefs: [purl(`pkg:generic/${name.toLowerCase()}@${versions[name]}`)],
      }),
    })
  );
}

function purl(locator: string): Record<string, string> {
  return { referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: locator };
}

function hexOf(integrity: string): string {
  return Uint8Array.fromBase64(integrity.replace(/^sha512-/, "")).toHex();
}
