// Runs a script of ours in a network namespace of its own, for peers that insist on an address that is not
// loopback. Nothing in there reaches the network, and all that it starts ends with it: it has a process
// namespace too.

/** The addresses of the interface in there, as a URI has them; beside it there is only loopback. */
export const NAMESPACE_ADDRESS = { ipv4: "10.77.0.1", ipv6: "[fd77::1]" } as const;
/** The name of that interface. */
export const NAMESPACE_INTERFACE = "phone0";

/** Kernels differ in what they have: a dummy is enough, one end of a pair will do. */
const SET_UP = `
set -e
ip link set lo up
ip link add ${NAMESPACE_INTERFACE} type dummy 2>/dev/null || ip link add ${NAMESPACE_INTERFACE} type veth peer name other0
case $1 in
  *:*) ip addr add "$1/64" dev ${NAMESPACE_INTERFACE} nodad ;;
  *) ip addr add "$1/24" dev ${NAMESPACE_INTERFACE} ;;
esac
shift
ip link set ${NAMESPACE_INTERFACE} up
ip link show other0 >/dev/null 2>&1 && ip link set other0 up
exec "$@"
`;

export interface NamespaceOptions {
  /** The script's import.meta.url; its packages must be in the cache, so import it where the test is. */
  readonly script: string;
  readonly args: readonly string[];
  /** The interface has an address of this family only; absent: IPv4. */
  readonly family?: "ipv4" | "ipv6";
  /** Makes another network instead: a shell script that ends in `shift; exec "$@"`. */
  readonly setUp?: string;
  /** It is killed, with all it started, after this long. */
  readonly timeoutMs: number;
}

/** Runs the script and gives what it printed, as JSON. What it said on stderr is in the error when it failed. */
export async function runInNamespace<Result>(options: NamespaceOptions): Promise<Result> {
  const user = Deno.uid() === 0 ? [] : ["--user", "--map-root-user"];
  const isolated = [...user, "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const address = NAMESPACE_ADDRESS[options.family ?? "ipv4"].replaceAll(/[[\]]/g, "");
  const script = new URL(options.script).pathname;
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-netns-" });
  const process = new Deno.Command("unshare", {
    args: [
      ...[...isolated, "sh", "-c", options.setUp ?? SET_UP, "sh", address],
      ...[Deno.execPath(), "run", "-A", "--quiet", script, ...options.args],
    ],
    env: { TMPDIR: folder }, // what a killed script leaves goes with it
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => process.kill("SIGKILL"), options.timeoutMs);
  const { code, stdout, stderr } = await process.output();
  clearTimeout(timer);
  await Deno.remove(folder, { recursive: true });
  const printed = new TextDecoder().decode(stdout);
  if (code === 0) return JSON.parse(printed);
  const said = new TextDecoder().decode(stderr);
  throw new Error(
    `${script} ${options.args.join(" ")} ended with ${code}\n${said.slice(-8000)}\n${printed.slice(-2000)}`,
  );
}
