import assert from "node:assert/strict";
import { parseUsers, verifyPassword } from "../../lib/gateway/access/users_file.ts";
import { withUser } from "../../lib/app/add_user.ts";
import { systemRandom } from "../../lib/base/random.ts";

Deno.test("a user is added, and replaced without touching the others", async () => {
  const first = await withUser({ name: "users", text: "# our users\n" }, {
    user: "alice",
    password: "first secret",
  }, systemRandom);
  const second = await withUser(
    { name: "users", text: first },
    { user: "bob", password: "bob's secret" },
    systemRandom,
  );
  const third = await withUser(
    { name: "users", text: second },
    { user: "alice", password: "second secret" },
    systemRandom,
  );
  assert.match(third, /^# our users\nbob:.*\nalice:.*\n$/);
  const users = parseUsers({ name: "users", text: third });
  assert.equal(await verifyPassword("second secret", users.get("alice")!), true);
  assert.equal(await verifyPassword("first secret", users.get("alice")!), false);
  assert.equal(await verifyPassword("bob's secret", users.get("bob")!), true);
  assert.doesNotMatch(third, /secret/);
});

Deno.test("short passwords, impossible names and broken files are refused", async () => {
  const table: [string, string, string, RegExp][] = [
    ["", "alice", "short", /at least 8 characters/],
    ["", "al ice", "long enough", /no spaces/],
    ["", "#alice", "long enough", /no spaces/],
    ["broken", "alice", "long enough", /^users, line 1: /],
  ];
  for (const [text, user, password, message] of table) {
    await assert.rejects(withUser({ name: "users", text }, { user, password }, systemRandom), { message });
  }
});

Deno.test("siprtmp user add reads the password from standard input", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const args = ["run", "--no-prompt", "--allow-read", `--allow-write=${folder}`];
    const main = new URL("../../main.ts", import.meta.url).pathname;
    const running = new Deno.Command(Deno.execPath(), {
      args: [...args, main, "user", "add", `${folder}/users.txt`, "alice"],
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const writer = running.stdin.getWriter();
    await writer.write(new TextEncoder().encode("from a pipe\n"));
    await writer.close();
    const { success, stderr } = await running.output();
    assert.equal(new TextDecoder().decode(stderr), "");
    assert.equal(success, true);
    const text = await Deno.readTextFile(`${folder}/users.txt`);
    assert.equal(
      await verifyPassword("from a pipe", parseUsers({ name: "users", text }).get("alice")!),
      true,
    );
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(`${folder}/users.txt`)).mode! & 0o777, 0o600);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
