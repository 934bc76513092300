// The bench's side of a load end: its requests, answered one by one or beside each other.
// Role: edge

import type { LoadMethods, LoadResponse } from "../load/protocol.ts";
import { startChild } from "./child.ts";

const PROGRAM = new URL("../load/program.ts", import.meta.url).pathname;

type Params<M extends keyof LoadMethods> = Parameters<LoadMethods[M]>[0];
type Result<M extends keyof LoadMethods> = ReturnType<LoadMethods[M]>;

/** A load end that runs as a process. */
export interface LoadProcess extends AsyncDisposable {
  readonly pid: number;
  /** Asks for something; throws what the load end threw. */
  ask<M extends keyof LoadMethods>(method: M, params: Params<M>): Promise<Result<M>>;
}

/** Starts a load end on a core of its own. */
export async function startLoad(cpu: number | null): Promise<LoadProcess> {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const ready = Promise.withResolvers<unknown>();
  waiting.set(0, ready);
  const complaints: string[] = [];
  const child = startChild({
    cpu,
    stdin: "piped",
    args: ["run", "--quiet", "-A", PROGRAM],
    onLine: (line, from) => {
      if (from === "err") return void complaints.push(line);
      const response = JSON.parse(line) as LoadResponse;
      const asked = waiting.get(response.id);
      waiting.delete(response.id);
      if ("error" in response) asked?.reject(new Error(`load end: ${response.error}`));
      else asked?.resolve(response.result);
    },
  });
  void child.ended.then(() => {
    const error = new Error(`the load end has ended:\n${complaints.slice(-20).join("\n")}`);
    for (const asked of waiting.values()) asked.reject(error);
  });
  await ready.promise;
  let lastId = 0;
  return {
    pid: child.pid,
    ask: async (method, params) => {
      const id = ++lastId;
      const asked = Promise.withResolvers<unknown>();
      waiting.set(id, asked);
      await child.tell(JSON.stringify({ id, method, params }));
      return await asked.promise as Result<typeof method>;
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}
