// Adds a user to the users file of the gateway (--rtmp-users), or gives one a new password:
// `deno run --allow-read --allow-write scripts/add_user.ts users.txt alice`. The password is read from standard
// input, never from the command line, where every user of the machine can see it.
// Role: edge

import { formatUser, hashPassword, isUserName, parseUsers } from "../lib/gateway/access/users_file.ts";
import { ConfigError } from "../lib/base/errors.ts";
import { systemRandom } from "../lib/base/random.ts";

const SHORTEST_PASSWORD = 8;

/** The text of the file with this user's line added or replaced. @throws ConfigError when text or name is wrong */
export async function withUser(
  file: { readonly name: string; readonly text: string },
  user: string,
  password: string,
): Promise<string> {
  parseUsers(file); // a file with a mistake is not written over
  if (!isUserName(user)) throw new ConfigError("a user name has no spaces and no colon");
  if (password.length < SHORTEST_PASSWORD) {
    throw new ConfigError(`a password has at least ${SHORTEST_PASSWORD} characters`);
  }
  const line = formatUser(user, await hashPassword(password, systemRandom));
  const lines = file.text.split(/\r?\n/).filter((other) => !other.trimStart().startsWith(`${user}:`));
  while (lines.at(-1) === "") lines.pop();
  return [...lines, line, ""].join("\n");
}

function say(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}

/** The first line of standard input; not shown while it is typed. */
async function readPassword(): Promise<string> {
  const terminal = Deno.stdin.isTerminal();
  if (terminal) say("password (not shown): ");
  if (terminal) Deno.stdin.setRaw(true, { cbreak: true });
  try {
    const bytes: number[] = [];
    const byte = new Uint8Array(1);
    while (await Deno.stdin.read(byte) !== null && byte[0] !== 0x0a && byte[0] !== 0x0d) {
      if (terminal && (byte[0] === 0x7f || byte[0] === 0x08)) bytes.pop();
      else bytes.push(byte[0]!);
    }
    return new TextDecoder().decode(Uint8Array.from(bytes));
  } finally {
    if (terminal) Deno.stdin.setRaw(false);
    if (terminal) say("\n");
  }
}

/** Empty when there is no such file yet. */
async function readText(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

async function run(path: string | undefined, user: string | undefined): Promise<number> {
  if (path === undefined || user === undefined) {
    say("usage: add_user.ts USERS-FILE NAME < PASSWORD\n");
    return 2;
  }
  try {
    const text = await withUser({ name: path, text: await readText(path) }, user, await readPassword());
    await Deno.writeTextFile(`${path}.new`, text, { mode: 0o600 });
    await Deno.rename(`${path}.new`, path);
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    say(`${error.message}\n`);
    return 2;
  }
}

if (import.meta.main) Deno.exit(await run(Deno.args[0], Deno.args[1]));
