import assert from "node:assert/strict";
import { checkHealth } from "../../lib/app/health.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { TransportError, WireError } from "../../lib/base/errors.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startGateway } from "../support/test_gateway.ts";

const RUNTIME = { clock: systemClock, random: systemRandom };

Deno.test("a gateway that answers is well, and does not mind", async () => {
  await using running = await startGateway();
  for (let i = 0; i < 3; i++) await checkHealth(`rtmp://127.0.0.1:${running.gateway.rtmp.port}`, RUNTIME);
  assert.doesNotMatch(running.lines(), / (?:warn|error) /);
});

Deno.test("nobody there, another protocol, silence: each is an error", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `rtmp://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  const answering = (async () => {
    using conn = await listener.accept();
    await conn.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
  })();
  await assert.rejects(
    checkHealth(url, RUNTIME),
    (error) => error instanceof WireError || error instanceof TransportError,
  );
  await answering;
  const clock = new FakeClock();
  const silence = checkHealth(url, { clock, random: systemRandom });
  using _conn = await listener.accept();
  clock.advance(5_000);
  await assert.rejects(silence, /no answer from 127\.0\.0\.1 within 5 s/);
  listener.close();
  await assert.rejects(checkHealth(url, RUNTIME), TransportError);
  await assert.rejects(checkHealth("http://x", RUNTIME), WireError);
});
