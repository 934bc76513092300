// The load end: everything that the gateway talks to, in one process.
// Role: edge

import { CallsEnd } from "./calls_end.ts";
import { fanOut } from "./fan_out_end.ts";
import { Histogram } from "./histogram.ts";
import { LoadSockets } from "./load_sockets.ts";
import type { LoadMethods } from "./protocol.ts";
import { UsersEnd } from "./users_end.ts";
import { openWindow, pause } from "./window.ts";

/** The requests, each answered by a promise. */
export type AsyncMethods = {
  [M in keyof LoadMethods]: (params: Parameters<LoadMethods[M]>[0]) => Promise<ReturnType<LoadMethods[M]>>;
};

/** What a load end can do; disposing it closes its ports. */
export function createLoadEnd(): AsyncMethods & Disposable {
  const sockets = new LoadSockets();
  const calls = new CallsEnd(sockets);
  const users = new UsersEnd(calls.answerer, sockets);
  return {
    dial: (request) => calls.dial(request),
    run: (request) => calls.run(request),
    hangUp: (request) => calls.hangUp(request),
    churn: (request) => calls.churn(request),
    register: (request) => users.register(request),
    fanOut: (request) => fanOut(request, sockets),
    watch: async ({ pid, seconds }) => {
      const close = openWindow(pid, new Histogram());
      await pause(seconds * 1000);
      return close();
    },
    [Symbol.dispose]: () => {
      users[Symbol.dispose]();
      calls[Symbol.dispose]();
      sockets[Symbol.dispose]();
    },
  };
}
