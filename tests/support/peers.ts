// Which real programs are here. A missing one makes its tests ignored, unless SIPRTMP_PEERS=required (CI),
// then they run and fail.

/** True when the tests that need these programs shall run. */
export function hasPeer(...programs: readonly string[]): boolean {
  return Deno.env.get("SIPRTMP_PEERS") === "required" || programs.every(isInstalled);
}

function isInstalled(program: string): boolean {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.some((folder) => {
    try {
      return Deno.statSync(`${folder}/${program}`).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
      throw error;
    }
  });
}
