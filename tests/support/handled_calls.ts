// The system calls of Linux with a hand between them and us: it notes them, and lets one fail.

import { type LinuxCalls, OpenFiles, openLinuxCalls } from "../../lib/net/linux/calls.ts";

export type CallName = Exclude<keyof LinuxCalls, "errno" | typeof Symbol.dispose>;

/** The calls of the system, noted; the `failAt`-th is not made and fails with `errno`. */
export class HandledCalls {
  readonly made: CallName[] = [];
  /** What is open. */
  readonly files = new OpenFiles();
  readonly calls: LinuxCalls;
  #failed = false;

  constructor(failAt = Infinity, errno = 0) {
    const real = openLinuxCalls(this.files);
    this.calls = new Proxy(real, {
      get: (_target, name) => {
        if (name === "errno") return () => this.#failed ? errno : real.errno();
        if (typeof name === "symbol") return () => real[Symbol.dispose]();
        return (...args: unknown[]) => {
          this.made.push(name as CallName);
          this.#failed = this.made.length === failAt && name !== "close";
          if (this.#failed) return -1;
          return (real[name as CallName] as (...args: unknown[]) => number)(...args);
        };
      },
    });
  }
}
