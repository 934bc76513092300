// A Debian system in a folder, with a network of its own that has loopback and nothing else: packages are installed, run and
// removed there, and this machine is as it was. Needs root, debootstrap, and the Debian mirror that this machine uses.

export interface Said {
  readonly code: number;
  /** Standard output and standard error. */
  readonly said: string;
}

export interface DebianRoot extends AsyncDisposable {
  readonly folder: string;
  /** Runs a program in it, as root or as who is named, without more rights than a service has. */
  run(command: readonly string[], as?: ServiceUser): Promise<Said>;
  /** The same for a program that goes on. */
  spawn(command: readonly string[], as?: ServiceUser): Deno.ChildProcess;
}

export interface ServiceUser {
  readonly user: string;
  /** Where it runs. */
  readonly folder: string;
}

const MOUNT = 'mount -t proc proc "$0/proc" && ip link set lo up && echo ready && exec cat';

export async function makeDebianRoot(): Promise<DebianRoot> {
  await using opened = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-debian-" });
  opened.defer(() => Deno.remove(folder, { recursive: true }));
  await Deno.chmod(folder, 0o755); // its users have to get in
  const [codename = "stable", ...mirror] = await ownDistribution();
  const made = await run(["debootstrap", "--variant=minbase", codename, folder, ...mirror]);
  if (made.code !== 0) throw new Error(`debootstrap: ${made.said.slice(-1000)}`);
  const holder = new Deno.Command("unshare", {
    args: ["--mount", "--net", "sh", "-c", MOUNT, folder],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  opened.defer(async () => {
    await holder.stdin.close();
    await holder.stdout.cancel();
    await holder.status;
  });
  const reader = holder.stdout.getReader();
  const { done } = await reader.read();
  reader.releaseLock();
  if (done) throw new Error("no namespaces: this needs root");
  const inside = (command: readonly string[], as?: ServiceUser) => {
    const { user, folder: cwd } = as ?? { user: "root", folder: "/" };
    const limits = as === undefined ? [] : [
      "setpriv",
      `--reuid=${user}`,
      `--regid=${user}`,
      "--init-groups",
      "--no-new-privs",
      "--bounding-set=-all",
    ];
    const own = ["env", "-i", `--chdir=${cwd}`, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NO_COLOR=1"];
    return ["nsenter", "-t", `${holder.pid}`, "-m", "-n", "chroot", folder, ...own, ...limits, ...command];
  };
  const owner = opened.move();
  return {
    folder,
    run: (command, as) => run(inside(command, as)),
    spawn: (command, as) => {
      const [program = "", ...args] = inside(command, as);
      return new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
    },
    [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose](),
  };
}

/** Codename and mirror of this machine's own Debian, where it is one; else nothing: debootstrap knows a mirror. */
async function ownDistribution(): Promise<string[]> {
  const release = await Deno.readTextFile("/etc/os-release");
  if (!/^ID=debian$/m.test(release)) return [];
  const [, codename] = /^VERSION_CODENAME=(\w+)$/m.exec(release) ?? [];
  if (codename === undefined) return [];
  const { said } = await run(["apt-get", "indextargets", "--format", "$(CODENAME) $(SITE) $(REPO_URI)"]);
  const mirror = said.split("\n").map((line) => line.split(" ")).find(([name]) => name === codename)?.[2];
  return mirror === undefined ? [codename] : [codename, mirror];
}

export async function run([program = "", ...args]: readonly string[]): Promise<Said> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
    env: { DEBIAN_FRONTEND: "noninteractive" },
  }).output();
  const decoder = new TextDecoder();
  return { code, said: decoder.decode(stdout) + decoder.decode(stderr) };
}
