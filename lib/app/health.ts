// `siprtmp health [URL]`: whether a gateway answers, for container engines and service managers without a shell.
// Role: edge

import { TransportError } from "../base/errors.ts";
import type { Runtime } from "../base/runtime.ts";
import type { ByteStream } from "../net/byte_stream.ts";
import { connectTcp } from "../net/tcp.ts";
import { parseRtmpUrl } from "../rtmp/client.ts";
import { initiateHandshake, ReadBuffer } from "../rtmp/handshake_io.ts";

/** Far above what a gateway under load needs. */
const WITHIN_MS = 5_000;

/** Resolves when the RTMP handshake is done. @throws WireError, TransportError when there is no answer or another one */
export async function checkHealth(url: string, runtime: Pick<Runtime, "clock" | "random">): Promise<void> {
  const { hostname, port } = parseRtmpUrl(url);
  const late = new AbortController();
  using _timer = runtime.clock.after(WITHIN_MS, () => late.abort());
  let stream: ByteStream | null = null;
  const close = (): void => stream?.close();
  late.signal.addEventListener("abort", close, { once: true });
  try {
    stream = await connectTcp({ hostname, port }, late.signal);
    await initiateHandshake({ ...runtime, stream, input: new ReadBuffer(stream) }, null);
  } catch (error) {
    if (!late.signal.aborted) throw error;
    throw new TransportError(`no answer from ${hostname} within ${WITHIN_MS / 1000} s`, "timeout", {
      cause: error,
    });
  } finally {
    close();
  }
}
