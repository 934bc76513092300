// `siprtmp user add FILE NAME`: adds a user to the users file of the gateway (--rtmp-users), or gives one a new password.
// Role: edge

import { formatUser, hashPassword, isUserName, parseUsers } from "../gateway/access/users_file.ts";
import { ConfigError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";

const SHORTEST_PASSWORD = 8;

/** The text of the file with this user's line added or replaced. @throws ConfigError when text, name or password is wrong */
export async function withUser(
  file: { readonly name: string; readonly text: string },
  { user, password }: { readonly user: string; readonly password: string },
  random: Random,
): Promise<string> {
  parseUsers(file); // a file with a mistake is not written over
  if (!isUserName(user)) throw new ConfigError("a user name has no spaces and no colon");
  if (password.length < SHORTEST_PASSWORD) {
    throw new ConfigError(`a password has at least ${SHORTEST_PASSWORD} characters`);
  }
  const line = formatUser(user, await hashPassword(password, random));
  const lines = file.text.split(/\r?\n/).filter((other) => !other.trimStart().startsWith(`${user}:`));
  while (lines.at(-1) === "") lines.pop();
  return [...lines, line, ""].join("\n");
}
