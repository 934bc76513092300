// A worker that breaks down when a test says so: { worker: "worker 1", how: "throw" } on the channel named below.
// What the real one would catch is kept from it, so that the thread dies of it as it would of a defect of the runtime.

addEventListener("error", (event) => event.stopImmediatePropagation());

const channel = new BroadcastChannel("siprtmp test: break down");
channel.onmessage = ({ data }) => {
  if (data.worker !== (globalThis as unknown as { name: string }).name) return;
  if (data.how === "throw") throw new Error("the test wants it");
  (globalThis as unknown as { close(): void }).close();
};

await import("../../lib/workers/worker_main.ts");
