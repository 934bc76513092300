import assert from "node:assert/strict";
import { RECIPES } from "../../../scripts/codecs/recipes.ts";
import { CODEC_LICENCES, RUNTIME_PARTS } from "../../../scripts/release/parts.ts";
import { formatSbom } from "../../../scripts/release/sbom.ts";

const HASH = "ab".repeat(64);
const BILL = {
  version: "1.2.3",
  commit: "abc123456",
  deno: "2.0.0",
  v8: "14.1",
  created: "2026-12-01T00:00:00Z",
  packages: [{
    name: "@a/log",
    version: "2.0.0",
    licence: "MIT",
    integrity: `sha512-${Uint8Array.fromHex(HASH).toBase64()}`,
  }],
  recipes: RECIPES,
};

Deno.test("the SBOM has what SPDX 2.3 demands of a document, its packages and their relationships", () => {
  const sbom = JSON.parse(formatSbom(BILL));
  assert.equal(sbom.spdxVersion, "SPDX-2.3");
  assert.equal(sbom.dataLicense, "CC0-1.0");
  assert.equal(sbom.SPDXID, "SPDXRef-DOCUMENT");
  assert.match(sbom.documentNamespace, /^https:\/\/\S+$/);
  assert.match(sbom.creationInfo.created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.ok(sbom.creationInfo.creators.every((who: string) => /^(?:Tool|Person|Organization): /.test(who)));
  const ids = sbom.packages.map(({ SPDXID }: { SPDXID: string }) => SPDXID);
  assert.equal(new Set(ids).size, ids.length);
  for (const one of sbom.packages) {
    assert.match(one.SPDXID, /^SPDXRef-[A-Za-z0-9.-]+$/);
    for (const field of ["name", "versionInfo", "downloadLocation", "licenseDeclared", "copyrightText"]) {
      assert.ok(one[field].length > 0, `${one.SPDXID} ${field}`);
    }
    assert.equal(one.filesAnalyzed, false);
  }
  for (const { spdxElementId, relatedSpdxElement } of sbom.relationships) {
    for (const id of [spdxElementId, relatedSpdxElement]) {
      assert.ok(id === "SPDXRef-DOCUMENT" || ids.includes(id), id);
    }
  }
  assert.equal(sbom.relationships.length, sbom.packages.length);
});

Deno.test("npm packages have purl and hash, codec archives theirs, the runtime its versions", () => {
  const { packages } = JSON.parse(formatSbom(BILL));
  const named = (name: string) => packages.find((one: { name: string }) => one.name === name);
  assert.equal(named("@a/log").externalRefs[0].referenceLocator, "pkg:npm/%40a/log@2.0.0");
  assert.deepEqual(named("@a/log").checksums, [{ algorithm: "SHA512", checksumValue: HASH }]);
  for (const [name, licence] of Object.entries(CODEC_LICENCES)) {
    assert.equal(named(name).licenseDeclared, licence);
    assert.match(named(name).checksums[0].checksumValue, /^[0-9a-f]{64}$/);
    assert.match(named(name).versionInfo, /^[\d.]+$/);
  }
  assert.equal(named("Deno").versionInfo, "2.0.0");
  assert.equal(named("V8").versionInfo, "14.1");
  for (const { name } of RUNTIME_PARTS) assert.ok(named(name) !== undefined, name);
});

Deno.test("one commit gives one SBOM", () => assert.equal(formatSbom(BILL), formatSbom(BILL)));
