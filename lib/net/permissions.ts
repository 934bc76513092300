// What the program may do and does not need: given up before the first packet comes, so that whoever should take the program
// over is in the same sandbox whatever it was started with. What is given up does not come back, and is gone for every thread.
// Role: edge

/** "ffi" is every permission there is while it lasts; libraries that are open stay usable without it. */
export type Permission = "ffi" | "write" | "net";

export function giveUp(permissions: readonly Permission[]): void {
  for (const name of permissions) Deno.permissions.revokeSync({ name });
}
