// `deno task test:compiled`, its last part: the tests of the executables in a network namespace that has loopback and nothing
// else, so that whatever the program might fetch is missed.

const SET_UP = 'ip link set lo up && exec "$@"';
const user = Deno.uid() === 0 ? [] : ["--user", "--map-root-user"];
const test = [Deno.execPath(), "test", "-A", "--quiet", "--cached-only", "tests/compiled", ...Deno.args];
const { code } = await new Deno.Command("unshare", {
  args: [...user, "--net", "sh", "-c", SET_UP, "sh", ...test],
  cwd: new URL("../../", import.meta.url),
}).spawn().status;
Deno.exit(code);
