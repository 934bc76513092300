import assert from "node:assert/strict";
import { Scope } from "../../../lib/base/scope.ts";
import { TransportError } from "../../../lib/base/errors.ts";
import { decodeRtp } from "../../../lib/rtp/packet.ts";
import type { AgreedMedia } from "../../../lib/sdp/agreed_media.ts";
import { LineStream, type MediaTreatment } from "../../../lib/tools/sipd/line_stream.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import type { FakeUdpSocket } from "../../support/fake_udp.ts";
import { agreedOn, CALLER_RTP, memoryServices, PCMA, PCMU, rtpPacket } from "../../support/sipd_bench.ts";

/** Returns what comes, and notes how often it was connected. */
class Returning implements MediaTreatment {
  readonly offered = [];
  readonly told: string[] = [];
  accept = () => [];
  connect(agreed: AgreedMedia, session: Parameters<MediaTreatment["connect"]>[1]): Disposable {
    const { name, sendPayloadType } = agreed.formats[0]!;
    this.told.push(`+${name}`);
    session.receiver = {
      fromRtp: (payload, timestamp, marker) => session.send(payload, timestamp, marker, sendPayloadType),
    };
    return { [Symbol.dispose]: () => void this.told.push(`-${name}`) };
  }
}

function bench() {
  const clock = new FakeClock();
  const services = memoryServices(clock);
  const treatment = new Returning();
  const scope = new Scope("test");
  const stream = new LineStream({ services, treatment, scope, cname: "x@y" });
  const caller = services.rtp.bind(CALLER_RTP);
  const back: number[][] = [];
  const reading = caller.run((bytes) => void back.push([...decodeRtp(bytes).payload]));
  const send = async (sequence: number, octet: number) => {
    caller.send(rtpPacket(sequence, [octet]), { hostname: "10.0.0.2", port: stream.port });
    await settle();
  };
  const finish = async () => {
    stream[Symbol.dispose]();
    caller.close();
    await reading;
    await scope.close();
    assert.equal(services.rtp.size, 0, "sockets are left");
    assert.equal(clock.pending, 0, "timers are left");
  };
  return { services, treatment, stream, back, send, caller: caller as FakeUdpSocket, finish };
}

Deno.test("nothing is received before an agreement, everything after it", async () => {
  const { stream, back, send, treatment, finish } = bench();
  assert.equal(stream.port % 2, 0);
  await send(1, 11);
  assert.deepEqual(back, []);
  assert.equal(stream.summary(), "not used");
  stream.apply(agreedOn());
  await settle();
  await send(2, 22);
  assert.deepEqual(back, [[11], [22]]);
  assert.deepEqual(treatment.told, ["+PCMU"]);
  assert.match(stream.summary(), /^2 packets received, 0 lost, 2 sent/);
  await finish();
  assert.deepEqual(treatment.told, ["+PCMU", "-PCMU"]);
});

Deno.test("hold in all its spellings sends nothing, and ends without a new connection", async () => {
  const { stream, back, send, treatment, finish } = bench();
  stream.apply(agreedOn());
  await send(1, 1);
  const holds = [agreedOn({ direction: "sendonly" }), agreedOn({ address: "0.0.0.0" }), null];
  let sequence = 2;
  for (const hold of holds) {
    stream.apply(hold);
    await send(sequence++, 99);
    stream.apply(agreedOn());
    await send(sequence++, 2);
  }
  assert.deepEqual(back, [[1], [2], [2], [2]]);
  assert.deepEqual(treatment.told, ["+PCMU"]);
  await finish();
});

Deno.test("other formats are another connection of the same stream", async () => {
  const { stream, treatment, finish, services } = bench();
  stream.apply(agreedOn());
  const { port } = stream;
  stream.apply(agreedOn({ formats: [PCMA] }));
  stream.apply(agreedOn({ formats: [PCMA] }));
  assert.deepEqual(treatment.told, ["+PCMU", "-PCMU", "+PCMA"]);
  assert.equal(stream.port, port);
  assert.equal(services.rtp.size, 3, "two ports and the caller's");
  await finish();
});

Deno.test("a host name is no address to send to", async () => {
  const { stream, back, send, finish } = bench();
  stream.apply(agreedOn({ formats: [PCMU], address: "phone.example" }));
  await send(1, 1);
  assert.deepEqual(back, []);
  await finish();
});

Deno.test("without a port there is no stream", () => {
  const clock = new FakeClock();
  const ports = {
    bindPair: () => {
      throw new TransportError("no port is left", "addr-in-use");
    },
  };
  const services = { ...memoryServices(clock), ports };
  const options = { services, treatment: new Returning(), scope: new Scope("test"), cname: "x@y" };
  assert.throws(() => new LineStream(options), TransportError);
  assert.equal(clock.pending, 0);
});
