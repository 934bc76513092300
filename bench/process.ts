// What Linux says of a process: CPU time, time it waited for a CPU, memory, sockets and what they dropped.
// proc(5). On other systems everything is null and the tables say so.
// Role: edge

/** One look at a process. */
export interface ProcessSample {
  /** CPU time of all threads since its start, user and system, in ms. */
  readonly cpuMs: number;
  /** How long its main thread was ready and had no CPU: what other programs on the core cost it. */
  readonly waitMs: number;
  /** Resident memory. */
  readonly rssKiB: number;
}

/** Null when the system has no such files, or the process has ended. */
export function sampleProcess(pid: number | "self"): ProcessSample | null {
  const status = readOrNull(`/proc/${pid}/status`);
  const stat = readOrNull(`/proc/${pid}/stat`);
  if (status === null || stat === null) return null;
  return {
    cpuMs: threadTimes(pid) ?? processTime(stat),
    waitMs: Number(readOrNull(`/proc/${pid}/schedstat`)?.split(" ")[1] ?? 0) / 1e6,
    rssKiB: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0),
  };
}

/** USER_HZ is 100 on every Linux that Deno runs on. */
const TICK_MS = 10;

/** Of all threads together, to the nanosecond; null where the kernel does not keep it. */
function threadTimes(pid: number | "self"): number | null {
  let ns = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    const text = readOrNull(`/proc/${pid}/task/${name}/schedstat`);
    if (text !== null) ns += Number(text.split(" ")[0]);
  }
  return ns === 0 ? null : ns / 1e6;
}

/** The name in parentheses may hold spaces: fields are counted behind it. utime and stime are fields 14 and 15. */
function processTime(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Datagrams that the sockets of a process had no room for, since each was opened; 0 where nobody counts them. */
export function droppedDatagrams(pid: number | "self"): number {
  return socketsOf(pid, "udp").reduce((sum, socket) => sum + socket.dropped, 0);
}

/** A socket as /proc/net has it. */
export interface ProcessSocket {
  /** Of its own end. */
  readonly port: number;
  /** Hexadecimal: 01 connected, 0A listening, 07 a UDP socket that is not connected. */
  readonly state: string;
  /** Datagrams that it had no room for; 0 for TCP. */
  readonly dropped: number;
}

/** Its IPv4 sockets; none where the system does not tell. */
export function socketsOf(pid: number | "self", protocol: "tcp" | "udp"): ProcessSocket[] {
  const ours = socketInodes(pid);
  const rows = (readOrNull(`/proc/${pid}/net/${protocol}`) ?? "").trim().split("\n").slice(1)
    .map((row) => row.trim().split(/\s+/));
  return rows.filter((row) => ours.has(row[9] ?? "")).map((row) => ({
    port: parseInt((row[1] ?? "").split(":")[1] ?? "", 16),
    state: row[3] ?? "",
    dropped: protocol === "udp" ? Number(row[12] ?? 0) : 0,
  }));
}

/** The inodes of the sockets that it holds open. */
export function socketInodes(pid: number | "self"): ReadonlySet<string> {
  const inodes = new Set<string>();
  for (const name of fileNames(pid)) {
    const inode = /^socket:\[(\d+)\]$/.exec(readLinkOrNull(`/proc/${pid}/fd/${name}`) ?? "")?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  return inodes;
}

/** Open files and sockets of a process; 0 where the system does not tell. */
export function openFiles(pid: number): number {
  return fileNames(pid).length;
}

function fileNames(pid: number | "self"): string[] {
  return orNull(() => [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => name)) ?? [];
}

function readOrNull(path: string): string | null {
  return orNull(() => Deno.readTextFileSync(path));
}

function readLinkOrNull(path: string): string | null {
  return orNull(() => Deno.readLinkSync(path));
}

/** Null for what is not there, or no more. */
function orNull<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    if (error instanceof Error && /ESRCH|No such process/i.test(error.message)) return null;
    throw error;
  }
}
