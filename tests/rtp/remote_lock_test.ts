import assert from "node:assert/strict";
import { formatEndpoint, parseEndpoint } from "../../lib/net/endpoint.ts";
import {
  type AgreedStream,
  describedAddress,
  expectedPayloadTypes,
  FORMER_HEARD_MS,
  isSomebodyElse,
  PROBATION_MS,
  PROBATION_PACKETS,
  RemoteLock,
  type RemoteLockOptions,
  type SourceRule,
  TAKE_OVER_AFTER_MS,
} from "../../lib/rtp/remote_lock.ts";

type Step = readonly [atMs: number, step: string, ssrc?: number, sequence?: number, payloadType?: number];

/**
 * A lock driven by texts: "+A" hears from A and accepts, "-A" refuses, ">A" sends to A, "=A" is described, "?" is
 * described without an address, "*A" is a host of the signalling.
 */
function play(options: Partial<RemoteLockOptions>, steps: readonly Step[]): RemoteLock {
  const lock = new RemoteLock({ latch: true, ...options });
  let next = 1000;
  for (const [atMs, step, ssrc = 7, sequenceNumber = next++, payloadType = 0] of steps) {
    const name = step.slice(1);
    const endpoint = name === "" ? null : parseEndpoint(name, 0);
    const where = `${atMs} ms: ${step}`;
    switch (step[0]) {
      case "=":
        lock.setRemote(endpoint, atMs);
        break;
      case "?":
        lock.setRemote("unknown", atMs);
        break;
      case "*":
        lock.signalling = name.split(",");
        break;
      case "+":
      case "-":
        assert.equal(
          lock.accept(endpoint!, atMs, { ssrc, sequenceNumber, payloadType }),
          step[0] === "+",
          where,
        );
        break;
      case ">":
        assert.equal(lock.target === null ? "" : formatEndpoint(lock.target), name, where);
        break;
      default:
        assert.fail(`unknown step ${step}`);
    }
  }
  return lock;
}

const PHONE = "192.0.2.5:4000";
const LAN_PHONE = "10.0.0.5:4000";
const NAT_HOST = "198.51.100.9";
const NAT = `${NAT_HOST}:61000`;
const THIEF = "203.0.113.66:1234";
/** SSRC of an unknown source. */
const OTHER = 99;
const RULES: readonly SourceRule[] = ["strict", "nat", "any"];

/** Another port of the described host shows that it is a stream: the last of these packets is heard. */
function otherPort(fromMs: number): Step[] {
  const heard = PROBATION_PACKETS - 1;
  const steps = Array.from({ length: PROBATION_PACKETS }, (_, i): Step => {
    return [fromMs + 20 * i, `${i === heard ? "+" : "-"}192.0.2.5:4444`, OTHER, 65_533 + i & 0xffff];
  });
  return [...steps, [fromMs + 20 * heard, ">192.0.2.5:4444"]];
}

Deno.test("lock: another port of the described host is heard and spoken to once it is a stream; a few packets are none", () => {
  const start: readonly Step[] = [[0, `=${PHONE}`], [0, "*192.0.2.5"]];
  for (const rule of RULES) {
    play({ rule }, [...start, ...otherPort(0), [5_000, `-${THIEF}`, 1], [5_000, "-192.0.2.5:9", 1], [
      5_000,
      ">192.0.2.5:4444",
    ]]);
    const few = otherPort(0).slice(0, 5);
    play({ rule }, [...start, ...few, [100, `>${PHONE}`], [60_000, `>${PHONE}`], [60_000, `+${PHONE}`]]);
  }
});

Deno.test("lock: before the first packet only the described host and the signalling hosts are heard", () => {
  const table: readonly (readonly [described: string, signalling: string, from: string, heard: boolean])[] = [
    [PHONE, "192.0.2.5", PHONE, true],
    [PHONE, "192.0.2.5", THIEF, false],
    [PHONE, "192.0.2.8", "192.0.2.8:700", true], // the media of a SIP peer that relays it after all
    [PHONE, "192.0.2.8", THIEF, false],
    [LAN_PHONE, NAT_HOST, NAT, true], // behind a NAT
    [LAN_PHONE, NAT_HOST, "198.51.100.10:61000", false],
    [LAN_PHONE, `203.0.113.1,${NAT_HOST}`, NAT, true], // behind a proxy that told where it is
    [LAN_PHONE, "127.0.0.1", THIEF, false],
    [LAN_PHONE, "10.0.0.1", "10.0.0.7:4000", false],
    ["[2001:db8::5]:4000", "2001:db8::5", "[2001:db8:0:0::5]:4000", true],
    ["[2001:db8::5]:4000", "2001:db8::5", "[2001:db8::6]:4000", false],
    ["192.0.2.5:4000", "192.0.2.5", "[::ffff:192.0.2.5]:4000", true],
    ["127.0.0.1:4000", "127.0.0.1", "127.0.0.2:4000", false],
  ];
  for (const [described, signalling, from, heard] of table) {
    for (const rule of RULES) {
      play({ rule }, [
        [0, `=${described}`],
        [0, `*${signalling}`],
        [0, `>${described}`],
        [10, `${heard ? "+" : "-"}${from}`],
        [10, `>${heard ? formatEndpoint(parseEndpoint(from, 0)) : described}`],
      ]);
    }
  }
});

Deno.test("lock: a phone that only listens keeps its sound, whoever knocks and however long", () => {
  const lock = play({}, [[0, `=${PHONE}`], [0, "*192.0.2.5"]]);
  for (let atMs = 0; atMs < 60_000; atMs += 20) {
    const packet = { ssrc: OTHER, sequenceNumber: atMs / 20, payloadType: 0 };
    assert.equal(lock.accept(parseEndpoint(THIEF, 0), atMs, packet), false);
  }
  assert.equal(formatEndpoint(lock.target!), PHONE);
});

Deno.test("lock: silence hands the stream to nobody, behind a NAT or not", () => {
  for (const [described, from] of [[PHONE, PHONE], [LAN_PHONE, NAT]] as const) {
    for (const rule of RULES) {
      play({ rule }, [
        [0, `=${described}`],
        [0, `*${from.split(":")[0]}`],
        [0, `+${from}`],
        [2_100, `-${THIEF}`, OTHER],
        [60_000, `-${THIEF}`, OTHER],
        [60_000, `-${from.split(":")[0]}:9`, OTHER], // another port of the same host is not enough
        [60_000, `>${from}`],
        [60_020, `+${from}`],
      ]);
    }
  }
});

Deno.test("lock: the same stream goes on from elsewhere: its SSRC and numbers, once the old place is silent", () => {
  const moved = "198.51.100.9:61999";
  const t = 100 + TAKE_OVER_AFTER_MS;
  const begun: readonly Step[] = [[0, `=${LAN_PHONE}`], [0, `*${NAT_HOST}`], [100, `+${NAT}`, 7, 65_530]];
  const table: readonly (readonly [what: string, step: Step])[] = [
    ["next number, across the wrap", [t, `+${moved}`, 7, 2]],
    ["some were lost", [t, `+${moved}`, 7, 1500]],
    ["from another network", [t, "+198.51.100.200:5000", 7, 65_531]],
    ["a late packet", [t, `+${moved}`, 7, 65_500]],
    ["another SSRC", [t, `-${moved}`, OTHER, 65_531]],
    ["numbers far off", [t, `-${moved}`, 7, 30_000]],
    ["the same packet again", [t, `-${moved}`, 7, 65_530]],
    ["the old place still speaks", [t - 1, `-${moved}`, 7, 65_531]],
  ];
  for (const [what, step] of table) {
    const to = step[1][0] === "+" ? step[1].slice(1) : NAT;
    assert.doesNotThrow(() => play({}, [...begun, step, [t, `>${to}`]]), what);
  }
});

Deno.test("lock: whoever is nearer to the description takes over at once and for good", () => {
  play({}, [
    [0, `=${PHONE}`],
    [0, "*203.0.113.66"],
    [0, `+${THIEF}`], // the SIP peer's host
    ...otherPort(5),
    [150, `-${THIEF}`],
    [160, `+${PHONE}`, 55], // the described address
    [160, `>${PHONE}`],
    [170, "-192.0.2.5:4444", OTHER],
    [9_000, "-192.0.2.5:4444", OTHER],
    [9_000, `-${THIEF}`],
  ]);
});

Deno.test("lock: media before any description are heard from the signalling host alone", () => {
  play({}, [[0, "*192.0.2.5"], [0, `+${PHONE}`], [0, ">"], [20, `=${PHONE}`], [20, `>${PHONE}`], [
    40,
    `-${THIEF}`,
  ]]);
  play({}, [[0, `-${PHONE}`], [0, `*${NAT_HOST}`], [0, `+${NAT}`], [20, `=${LAN_PHONE}`], [20, `>${NAT}`]]);
});

Deno.test("lock: hold stops sending and keeps the lock", () => {
  play({}, [
    [0, `=${LAN_PHONE}`],
    [0, `*${NAT_HOST}`],
    [0, `+${NAT}`],
    [100, "="],
    [100, ">"],
    [120, `+${NAT}`],
    [120, `-${THIEF}`, OTHER],
    [200, `=${LAN_PHONE}`],
    [200, `>${NAT}`],
  ]);
});

Deno.test("lock: a newly described address is used at once; the former sender is heard a while, not locked", () => {
  const moved = "192.0.2.77:5000";
  const start: readonly Step[] = [[0, `=${PHONE}`], [0, `*${NAT_HOST}`], [0, `+${NAT}`, 7, 10]];
  play({}, [
    ...start,
    [100, `=${moved}`],
    [100, "*192.0.2.77"],
    [100, `>${moved}`],
    [110, `+${NAT}`, 7, 11],
    [110, `>${moved}`],
    [115, `-${THIEF}`, OTHER],
    [120, `+${moved}`, 8, 500],
    [130, `-${NAT}`, 7, 12],
  ]);
  // When only the former sender goes on, it is the peer after all.
  const later = 100 + FORMER_HEARD_MS;
  play({}, [...start, [100, `=${moved}`], [100, "*192.0.2.77"], [later, `+${NAT}`, 7, 111], [
    later,
    `>${NAT}`,
  ]]);
  play({}, [...start, [100, `=${moved}`], [100, "*192.0.2.77"], [later, `-${NAT}`, OTHER, 111]]);
});

Deno.test("lock: signalling from another host moves a phone that described the same private address", () => {
  play({}, [
    [0, `=${LAN_PHONE}`],
    [0, `*${NAT_HOST}`],
    [0, `+${NAT}`],
    [500, "-198.51.100.77:5000", OTHER],
    [600, "*198.51.100.77"], // re-INVITE from its new network
    [600, "+198.51.100.77:5000", OTHER],
    [600, ">198.51.100.77:5000"],
    [620, `-${NAT}`],
  ]);
});

Deno.test("lock: a description that catches up with the sender changes nothing", () => {
  play({}, [[0, `=${LAN_PHONE}`], [0, `*${NAT_HOST}`], [0, `+${NAT}`], [100, `=${NAT}`], [100, `>${NAT}`], [
    110,
    `-${THIEF}`,
    OTHER,
  ]]);
});

Deno.test("lock: without latching only the described host is heard, and always sent to", () => {
  play({ latch: false }, [
    [10, `=${PHONE}`],
    [20, `-${THIEF}`],
    [30, "+192.0.2.5:4444"],
    [30, `>${PHONE}`],
    [40, "="],
    [50, `+${PHONE}`],
    [50, ">"],
  ]);
});

/** So many packets in order, `gapMs` apart; how many of them were heard. */
function stream(
  lock: RemoteLock,
  from: string,
  count: number,
  gapMs = 20,
  payloadType = 0,
  ssrc = 7,
): number {
  const at = parseEndpoint(from, 0);
  let heard = 0;
  for (let i = 0; i < count; i++) {
    heard += Number(lock.accept(at, i * gapMs, { ssrc, sequenceNumber: 65_534 + i & 0xffff, payloadType }));
  }
  return heard;
}

Deno.test("lock: an unexpected source is believed when the description cannot be true, and it is a stream", () => {
  const table: readonly (readonly [rule: SourceRule, described: string, peer: string, believed: boolean])[] =
    [
      ["nat", LAN_PHONE, "203.0.113.1", true], // a phone behind a NAT, its proxy outside
      ["nat", "192.168.1.7:4000", "2001:db8::1", true],
      ["nat", "169.254.1.7:4000", "203.0.113.1", true],
      ["nat", "100.64.0.9:4000", "203.0.113.1", true],
      ["nat", "", "127.0.0.1", true], // a name that nobody could resolve
      ["nat", PHONE, "203.0.113.1", false],
      ["nat", LAN_PHONE, "10.0.0.1", false],
      ["nat", LAN_PHONE, "127.0.0.1", false],
      ["any", LAN_PHONE, "127.0.0.1", true], // the proxy on this machine
      ["any", LAN_PHONE, "10.0.0.1", true],
      ["any", PHONE, "127.0.0.1", false],
      ["strict", LAN_PHONE, "203.0.113.1", false],
      ["strict", "", "203.0.113.1", false],
    ];
  for (const [rule, described, peer, believed] of table) {
    const lock = play({ rule }, [[0, `*${peer}`], [0, described === "" ? "?" : `=${described}`]]);
    lock.payloadTypes = new Set([0, 101]);
    const heard = stream(lock, NAT, 20);
    assert.equal(heard, believed ? 21 - PROBATION_PACKETS : 0, `${rule} ${described} ${peer}`);
    if (believed) assert.equal(formatEndpoint(lock.target!), NAT);
  }
});

Deno.test("lock: what is no stream of this call is not believed, also where a guess would be allowed", () => {
  const fresh = (): RemoteLock => {
    const lock = play({}, [[0, "*203.0.113.1"], [0, `=${LAN_PHONE}`]]);
    lock.payloadTypes = new Set([0]);
    return lock;
  };
  assert.equal(stream(fresh(), THIEF, PROBATION_PACKETS - 1), 0, "too few");
  assert.equal(stream(fresh(), THIEF, 100, 0), 0, "a burst");
  assert.equal(stream(fresh(), THIEF, 20, 20, 8), 0, "another payload type");
  const sprayed = fresh();
  for (let n = 0; n < 100; n++) {
    const packet = { ssrc: n, sequenceNumber: n, payloadType: 0 };
    assert.equal(sprayed.accept(parseEndpoint(THIEF, 0), n * 20, packet), false, "SSRCs by chance");
  }
  const numbers = fresh();
  for (let n = 0; n < 100; n++) {
    const packet = { ssrc: 7, sequenceNumber: n * 7, payloadType: 0 };
    assert.equal(numbers.accept(parseEndpoint(THIEF, 0), n * 20, packet), false, "numbers out of order");
  }
  const signalled = fresh();
  assert.ok(stream(signalled, NAT, 20) > 0);
  assert.ok(
    signalled.accept(parseEndpoint("203.0.113.1:9", 0), 500, {
      ssrc: 1,
      sequenceNumber: 1,
      payloadType: 0,
    }),
    "the peer's own host takes over from a guess",
  );
  assert.ok(PROBATION_MS > 0);
});

Deno.test("lock: a stream of an earlier call is not heard wherever it comes from; a phone's next call is", () => {
  const earlier = { ssrc: 7, sequence: 65_500, atMs: 0 };
  const call: readonly Step[] = [[3000, `=${PHONE}`], [3000, "*192.0.2.5"]];
  const table:
    readonly (readonly [what: string, heard: boolean, ssrc: number, sequence: number, atMs: number])[] = [
      ["goes on", false, 7, 100, 3000],
      ["goes on right away", false, 7, 65_501, 3000],
      ["its last packet again", false, 7, 65_500, 3000],
      ["after a minute", false, 7, 2400, 60_000],
      ["another SSRC", true, 8, 100, 3000],
      ["the SSRC again, begun anew", true, 7, 30_000, 3000],
      ["the SSRC again, numbers from before", true, 7, 65_000, 3000],
      ["long forgotten", true, 7, 100, 600_000],
    ];
  for (const [what, heard, ssrc, sequence, atMs] of table) {
    for (const from of heard ? [PHONE] : [PHONE, "192.0.2.5:4444"]) {
      const step: Step = [atMs, `${heard ? "+" : "-"}${from}`, ssrc, sequence];
      assert.doesNotThrow(() => play({ earlier }, [...call, step]), what);
    }
  }
  const lock = play({ earlier }, [...call, [3000, `-${PHONE}`, 7, 100], [3020, `-${PHONE}`, 7, 101]]);
  assert.deepEqual(lock.heard, { ssrc: 7, sequence: 101, atMs: 3020 }, "kept for the call after this");
});

Deno.test("described peer: the payload types of every agreed format, by both sides' numbers", () => {
  const format = (sendPayloadType: number, receivePayloadType = sendPayloadType) => ({
    sendPayloadType,
    receivePayloadTypes: [receivePayloadType],
  });
  const agreed: AgreedStream = {
    remote: null,
    rtcpRemote: null,
    formats: [format(0), format(110, 96)],
    telephoneEvents: [format(101)],
    comfortNoise: [format(13)],
    redundancy: format(121, 100),
  };
  assert.deepEqual([...expectedPayloadTypes(agreed)].sort((a, b) => a - b), [0, 13, 96, 100, 101, 110, 121]);
  const bare = { ...agreed, telephoneEvents: [], comfortNoise: [], redundancy: null };
  assert.deepEqual([...expectedPayloadTypes(bare)], [0, 110, 96]);
});

const at = (hostname: string) => ({ hostname, port: 4000 });

Deno.test("described peer: an address is sent to, a name that is left is not", () => {
  assert.deepEqual(describedAddress(null, []), { at: null, problem: null });
  for (const address of ["192.0.2.5", "2001:db8::5", "::ffff:192.0.2.5"]) {
    assert.deepEqual(describedAddress(at(address), []), { at: at(address), problem: null });
  }
  for (const name of ["localhost", "media_1.example.com", "", "1.2.3", "[2001:db8::5]"]) {
    const { at: where, problem } = describedAddress(at(name), []);
    assert.deepEqual([where, problem], ["unknown", `"${name}" is no address`]);
  }
});

Deno.test("described peer: what may not be sent to is not, for this peer", () => {
  const asked: (string | null)[] = [];
  const guard = {
    refusal: (to: { hostname: string }, askedBy: string | null) => {
      asked.push(askedBy);
      return to.hostname === "127.0.0.1" && askedBy !== "127.0.0.1" ? "not here" : null;
    },
  };
  const judged = (signalling: string[]) => describedAddress(at("127.0.0.1"), signalling, guard);
  assert.deepEqual(judged(["203.0.113.9", "127.0.0.1"]), { at: "unknown", problem: "not here" });
  assert.deepEqual(judged(["127.0.0.1"]), { at: at("127.0.0.1"), problem: null });
  assert.deepEqual(judged([]).at, "unknown", "nobody knows who said so");
  assert.deepEqual(asked, ["203.0.113.9", "127.0.0.1", ""]);
});

Deno.test("described peer: who has us send to somebody else", () => {
  const TABLE: readonly (readonly [described: string, signalling: string[], somebodyElse: boolean])[] = [
    ["192.0.2.5", ["192.0.2.5"], false],
    ["192.0.2.5", ["203.0.113.9", "192.0.2.5"], false],
    ["192.0.2.5", ["::ffff:192.0.2.5"], false],
    ["192.0.2.5", ["203.0.113.9"], true],
    ["2001:db8::5", ["2001:db8:0:0::5"], false],
    ["192.0.2.5", [], false],
  ];
  for (const [described, signalling, expected] of TABLE) {
    assert.equal(isSomebodyElse(at(described), signalling), expected, `${described} ${signalling}`);
  }
  assert.equal(isSomebodyElse(null, ["192.0.2.5"]), false);
});
