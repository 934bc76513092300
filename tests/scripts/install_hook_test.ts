import assert from "node:assert/strict";
import { HOOK, installHook } from "../../scripts/install_hook.ts";

async function git(cwd: string, ...args: string[]): Promise<boolean> {
  const identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
  return (await new Deno.Command("git", { args: [...identity, ...args], cwd, stdout: "null", stderr: "null" })
    .output()).success;
}

Deno.test("hook: installed once, run before a commit, in worktrees too; another hook stays", async () => {
  const root = await Deno.makeTempDir();
  try {
    assert.equal((await installHook(root)).type, "no repository");
    const repository = `${root}/repository`;
    await Deno.mkdir(repository);
    assert.ok(await git(repository, "init", "-q"));
    const first = await installHook(repository);
    assert.ok(first.type === "installed");
    assert.equal(await Deno.readTextFile(first.path), HOOK);
    assert.equal((await installHook(repository)).type, "there already");
    await Deno.writeTextFile(`${repository}/deno.json`, '{ "tasks": { "ok:quick": "exit 1" } }');
    assert.ok(await git(repository, "add", "."));
    assert.ok(!await git(repository, "commit", "-qm", "refused"), "ok:quick fails: no commit");
    await Deno.writeTextFile(`${repository}/deno.json`, '{ "tasks": { "ok:quick": "echo fine" } }');
    assert.ok(await git(repository, "add", "."));
    assert.ok(await git(repository, "commit", "-qm", "taken"));
    assert.ok(await git(repository, "worktree", "add", "-q", `${root}/other`));
    assert.equal((await installHook(`${root}/other`)).type, "there already");
    await Deno.writeTextFile(first.path, "#!/bin/sh\n");
    assert.equal((await installHook(repository)).type, "another hook is there");
    assert.equal(await Deno.readTextFile(first.path), "#!/bin/sh\n");
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
