// How much memory this process holds, as the operating system counts it: what a limit of a container is about.
// Deno permissions: none.
// Role: edge

/** Resident memory of the whole process, workers included, in bytes. Costs some microseconds: not per packet. */
export function residentBytes(): number {
  return Deno.memoryUsage().rss;
}
