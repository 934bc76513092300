import assert from "node:assert/strict";
import { releaseNotes } from "../../../scripts/release/notes.ts";

const CHANGELOG = `# Changelog

## [Unreleased]

- new

## [0.2.0] - 2026-12-02

### Added

- two

## [0.1.0] - 2026-11-01

- one

[0.1.0]: https://example.com
`;

Deno.test("the notes of a release are its section, to the next one", () => {
  assert.equal(releaseNotes(CHANGELOG, "0.2.0"), "### Added\n\n- two\n");
  assert.equal(releaseNotes(CHANGELOG, "0.1.0"), "- one\n");
});

Deno.test("no section, or an empty one, is null", () => {
  assert.equal(releaseNotes(CHANGELOG, "0.3.0"), null);
  assert.equal(releaseNotes("## [0.3.0]\n\n## [0.2.0]\n", "0.3.0"), null);
});
