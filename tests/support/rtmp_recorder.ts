// A client that publishes a stream to be recorded, and says what came of it.

import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { speech } from "./live_flv.ts";

const CLIENT = { log: silentLog, clock: systemClock, random: systemRandom };

/** The status that it gets; one tag is sent. */
export async function record(port: number, mode: "record" | "append"): Promise<string> {
  await using client = await RtmpClient.open(`rtmp://127.0.0.1:${port}/live`, {
    ...CLIENT,
    timeoutMs: 10_000,
  });
  const status = Promise.withResolvers<string>();
  const stream = await client.createStream();
  stream.onStatus = (info) => {
    const code = String(info.code);
    if (code.startsWith("NetStream.Record") || code.endsWith("BadName")) status.resolve(code);
  };
  void stream.publish("film", mode).catch(() => {});
  const late = setTimeout(() => status.reject(new Error("no status within 10 s")), 10_000);
  try {
    const code = await status.promise;
    stream.send(8, 0, speech());
    await client.call("sent");
    return code;
  } finally {
    clearTimeout(late);
  }
}
