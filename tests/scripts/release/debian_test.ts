import assert from "node:assert/strict";
import {
  architectureOf,
  changelogFile,
  controlFile,
  copyrightFile,
  debianName,
  debianVersion,
} from "../../../scripts/release/debian.ts";
import { TARGETS } from "../../../scripts/release/targets.ts";

const [X86, ARM, MAC] = TARGETS;

Deno.test("packages are named as Debian names version and processor", () => {
  assert.equal(debianName("1.2.3", X86!), "siprtmp_1.2.3_amd64.deb");
  assert.equal(debianName("1.2.3-rc.1", ARM!), "siprtmp_1.2.3~rc.1_arm64.deb");
  assert.equal(debianVersion("1.2.3"), "1.2.3");
  assert.throws(() => architectureOf(MAC!), /no Debian for/);
});

Deno.test("the control file has what dpkg demands, and the C library that the executable needs", () => {
  const control = controlFile("1.2.3", X86!, 2049);
  for (const field of ["Package: siprtmp", "Version: 1.2.3", "Architecture: amd64", "Installed-Size: 3"]) {
    assert.ok(control.includes(`${field}\n`), field);
  }
  assert.match(control, /^Depends: libc6 \(>= 2\.27\)/m);
  assert.match(control, /^Description: .{1,60}$/m);
  assert.ok(control.endsWith("\n"));
});

Deno.test("changelog and copyright are as Debian wants them", () => {
  const changelog = changelogFile("1.2.3", "2026-12-01T10:00:00Z");
  assert.match(
    changelog,
    /^siprtmp \(1\.2\.3\) unstable; urgency=medium\n\n {2}\* .*\n\n -- .* <.*> {2}Tue, 01 Dec 2026 10:00:00 \+0000\n$/,
  );
  assert.match(copyrightFile(), /^Code from FAAD2 is copyright \(c\) Nero AG, www\.nero\.com$/m);
});
