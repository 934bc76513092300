// The notes of a release: its section of CHANGELOG.md.
// Role: wire

/** Without the heading; null: there is no section of this version, or nothing in it. */
export function releaseNotes(changelog: string, version: string): string | null {
  const sections = changelog.split(/^## /m);
  const section = sections.find((text) => text.startsWith(`[${version}]`));
  const text = section?.slice(section.indexOf("\n") + 1).replace(/^\[[^\]\n]{1,100}\]: [^\n]*/gm, "").trim();
  return text === undefined || text === "" ? null : `${text}\n`;
}
