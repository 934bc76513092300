// Asks a program for a full collection through V8's inspector, so that what it holds can be told from what it has not
// yet thrown away. https://chromedevtools.github.io/devtools-protocol/v8/HeapProfiler/
// Role: edge

const METHOD = "HeapProfiler.collectGarbage";
const WITHIN_MS = 30_000;
/** Time for the memory to go back to the system. */
const SETTLE_MS = 500;

/** Collects everything, twice: what the first round finalizes goes in the second. `url` is that of --inspect. */
export async function collectGarbage(url: string): Promise<void> {
  const socket = new WebSocket(url);
  try {
    await eventOf(socket, "open");
    for (const id of [1, 2]) {
      socket.send(JSON.stringify({ id, method: METHOD }));
      const { data } = await eventOf(socket, "message") as MessageEvent<string>;
      const answer = JSON.parse(data) as { id?: number; error?: { message: string } };
      if (answer.id !== id || answer.error !== undefined) throw new Error(`${METHOD}: ${data}`);
    }
  } finally {
    socket.close();
  }
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

function eventOf(socket: WebSocket, type: "open" | "message"): Promise<Event> {
  const { promise, resolve, reject } = Promise.withResolvers<Event>();
  const timer = setTimeout(() => reject(new Error(`the inspector says nothing: no ${type}`)), WITHIN_MS);
  socket.addEventListener(type, resolve, { once: true });
  socket.addEventListener("error", () => reject(new Error("the inspector cannot be reached")), {
    once: true,
  });
  return promise.finally(() => clearTimeout(timer));
}
