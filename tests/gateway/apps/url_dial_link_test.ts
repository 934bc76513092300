import assert from "node:assert/strict";
import { dialledByUrl } from "../../../lib/gateway/apps/url_dial.ts";
import { UrlDialLink } from "../../../lib/gateway/apps/url_dial_link.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";

class Bench {
  readonly clock = new FakeClock();
  readonly log = new RecordLog();
  /** Why the connection was closed. */
  readonly closed: string[] = [];
  readonly link: UrlDialLink;

  constructor(query = "") {
    this.link = new UrlDialLink({
      client: {
        close: (code, description) => {
          this.closed.push(`${code}: ${description}`);
          return Promise.resolve();
        },
      },
      limits: dialledByUrl(`dial=echo${query}`)!,
      clock: this.clock,
      log: this.log,
    });
  }
}

const ENDS = [["rejected", ["486 Busy Here"], "rejected 486 Busy Here"], ["byed", [], "byed"]] as const;

for (const [last, args, said] of ENDS) {
  Deno.test(`callbacks are logged; ${last} is the end of the connection`, () => {
    const bench = new Bench();
    bench.link.call("dialing", "echo");
    bench.link.call("ringing", "180 Ringing");
    bench.link.call("accepted", "pcmu", null);
    assert.deepEqual([bench.closed, bench.clock.pending], [[], 0]);
    bench.link.call(last, ...args);
    assert.deepEqual(bench.closed, [`NetConnection.Connect.Closed: ${said}`]);
    assert.match(bench.log.lines.join(), /dialled by URL: accepted pcmu/);
  });
}

Deno.test("ringing for too long ends the connection, and talking for too long", () => {
  const bench = new Bench("&answer-timeout=30&max-duration=60");
  bench.link.call("dialing", "echo");
  bench.clock.advance(29_999);
  assert.deepEqual(bench.closed, []);
  bench.clock.advance(1);
  assert.deepEqual(bench.closed, ["NetConnection.Connect.Closed: no answer"]);
  const answered = new Bench("&answer-timeout=30&max-duration=60");
  answered.link.call("dialing", "echo");
  answered.clock.advance(20_000);
  answered.link.call("accepted");
  answered.clock.advance(59_999);
  assert.deepEqual(answered.closed, []);
  answered.clock.advance(1);
  assert.deepEqual(answered.closed, ["NetConnection.Connect.Closed: the call has lasted 60 s, as asked for"]);
});

Deno.test("a client that has left has no timer", () => {
  const bench = new Bench("&answer-timeout=30");
  bench.link.call("dialing", "echo");
  assert.equal(bench.clock.pending, 1);
  bench.link[Symbol.dispose]();
  assert.equal(bench.clock.pending, 0);
});
