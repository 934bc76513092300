// Which files a thread has opened by system calls, in memory that outlives it: the runtime closes what is its own when a
// worker breaks down, these somebody else has to close. A bit per file descriptor.
// Role: machine

/** More than a process may usually open (LimitNOFILE of the unit file: 65536); what is beyond is not kept. */
const MOST = 1 << 17;

/** The open files of one thread, as it or its supervisor sees them. */
export class OpenFiles {
  readonly memory: SharedArrayBuffer;
  readonly #bits: Int32Array<SharedArrayBuffer>;

  /** None, or those in the memory of another thread. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(MOST / 8)) {
    this.memory = memory;
    this.#bits = new Int32Array(memory);
  }

  add(fd: number): void {
    if (fd >= 0 && fd < MOST) Atomics.or(this.#bits, fd >> 5, 1 << (fd & 31));
  }

  /** To be said before it is closed: right afterwards another thread may have the same number. */
  remove(fd: number): void {
    if (fd >= 0 && fd < MOST) Atomics.and(this.#bits, fd >> 5, ~(1 << (fd & 31)));
  }

  /** Those that are open now; afterwards none is. For who clears up behind a thread that is over. */
  take(): number[] {
    const files: number[] = [];
    for (let word = 0; word < this.#bits.length; word++) {
      const bits = Atomics.exchange(this.#bits, word, 0);
      if (bits === 0) continue;
      for (let bit = 0; bit < 32; bit++) if ((bits >>> bit & 1) === 1) files.push(32 * word + bit);
    }
    return files;
  }
}
