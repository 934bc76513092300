// Source archives by way of Debian's package manager, whichever mirror the machine is set up with: the mirror's
// own entries are read from apt and turned into a source list that lives in a temporary folder, so nothing of
// the system is changed and no host is named here.
// Role: edge

/** Downloads the source packages into `folder`; the reason when that cannot be. */
export async function downloadSourcePackages(
  packages: readonly string[],
  folder: string,
): Promise<string | null> {
  const targets = await run(["indextargets", "--format", TARGET_FORMAT, "Created-By: Packages"], folder);
  if (targets.text === null) return targets.reason;
  const list = await sourceList(targets.text);
  if (list === "") return "apt knows no Debian mirror";
  await Deno.writeTextFile(`${folder}/sources.list`, list);
  for (const name of ["lists/partial", "cache/archives/partial"]) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
  }
  const options = [
    `Dir::Etc::SourceList=${folder}/sources.list`,
    "Dir::Etc::SourceParts=/dev/null",
    `Dir::State::Lists=${folder}/lists`,
    `Dir::Cache=${folder}/cache`,
    "Acquire::http::Timeout=20",
    "Acquire::Retries=1",
    "APT::Sandbox::User=",
  ].flatMap((option) => ["-o", option]);
  const updated = await run(["-q", ...options, "update"], folder);
  if (updated.text === null) return updated.reason;
  const fetched = await run(["-q", ...options, "source", "--download-only", ...packages], folder);
  return fetched.text === null ? fetched.reason : null;
}

const TARGET_FORMAT = "$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)";

/** Each `main` or `universe` of the distribution once, signed by the distribution's own keys. */
async function sourceList(targets: string): Promise<string> {
  const lines = new Set<string>();
  for (const target of targets.split("\n")) {
    const [origin = "", uri, release, component = ""] = target.split(" ");
    if (!/^(?:Debian|Ubuntu)$/.test(origin) || !/^(?:main|universe)$/.test(component)) continue;
    if (/-(?:security|updates|backports)$/.test(release ?? "")) continue;
    const keys = await keyring(origin.toLowerCase());
    lines.add(`deb-src ${keys}${uri} ${release} ${component}\n`);
  }
  return [...lines].join("");
}

async function keyring(distribution: string): Promise<string> {
  for (const ending of ["gpg", "pgp"]) {
    const path = `/usr/share/keyrings/${distribution}-archive-keyring.${ending}`;
    const found = await Deno.stat(path).catch(absent);
    if (found !== null) return `[signed-by=${path}] `;
  }
  return "";
}

type Outcome = { readonly text: string; readonly reason: "" } | {
  readonly text: null;
  readonly reason: string;
};

async function run(args: readonly string[], cwd: string): Promise<Outcome> {
  try {
    const env = { LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
    const out = await new Deno.Command("apt-get", { args: [...args], cwd, env, stdin: "null" }).output();
    if (out.success) return { text: new TextDecoder().decode(out.stdout), reason: "" };
    const said = new TextDecoder().decode(out.stderr).trim().split("\n").at(-1) ?? "";
    return { text: null, reason: `apt-get: ${said}` };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { text: null, reason: "there is no apt-get" };
    throw error;
  }
}

function absent(error: unknown): null {
  if (error instanceof Deno.errors.NotFound) return null;
  throw error;
}
