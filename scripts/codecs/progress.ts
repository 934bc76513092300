// What the first build of the codec modules says while it goes on: which module, how many there are, how long it took;
// and every ten seconds that it is still at it.
// Role: machine

/** How far a build is. */
export class BuildProgress {
  readonly #total: number;
  readonly #now: () => number;
  readonly #startedMs: number;
  /** What is being done, and since when. */
  readonly #doing = new Map<string, number>();
  #begun = 0;
  #done = 0;

  /** Nothing is being done yet. @param total modules to build @param now milliseconds that only go on */
  constructor(total: number, now: () => number) {
    this.#total = total;
    this.#now = now;
    this.#startedMs = now();
  }

  /** Modules that were built. */
  get done(): number {
    return this.#done;
  }

  /** A line for the beginning of a module. */
  begin(title: string): string {
    this.#doing.set(title, this.#now());
    this.#begun += 1;
    return `[${this.#begun} of ${this.#total}] ${title}: compiling`;
  }

  /** A line for its end. @param more said behind it */
  finish(title: string, more = ""): string {
    const startedMs = this.#doing.get(title) ?? this.#startedMs;
    this.#doing.delete(title);
    this.#done += 1;
    return `${title}: built in ${
      ((this.#now() - startedMs) / 1000).toFixed(1)
    } s${more}, ${this.#done} of ${this.#total}`;
  }

  /** It was not built. */
  fail(title: string): void {
    this.#doing.delete(title);
  }

  /** A line for those who wait. */
  waiting(): string {
    const what = this.#doing.size === 0
      ? "fetching the sources"
      : `compiling ${[...this.#doing.keys()].join(", ")}`;
    return `... ${this.#seconds()} s: ${what}`;
  }

  /** The last line; null when nothing was built. */
  end(): string | null {
    if (this.#done === 0) return null;
    return `${this.#done} of ${this.#total} codec modules built in ${this.#seconds()} s`;
  }

  #seconds(): number {
    return Math.round((this.#now() - this.#startedMs) / 1000);
  }
}

/** How many modules are compiled at a time. @param freeBytes memory to be had; null: nobody knows */
export function compilersFor(modules: number, cores: number, freeBytes: number | null): number {
  const byMemory = freeBytes === null ? 2 : Math.floor(freeBytes / COMPILER_BYTES);
  return Math.max(1, Math.min(modules, cores, byMemory));
}

/** What one compiler takes. */
const COMPILER_BYTES = 400 * 1024 * 1024;
