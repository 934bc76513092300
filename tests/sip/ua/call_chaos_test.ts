// Two user agents do random things to each other over a bad network: whatever happens, nothing breaks, every call
// ends on both sides, and nothing is left behind.

import assert from "node:assert/strict";
import { type Random, seededRandom } from "../../../lib/base/random.ts";
import { delay } from "../../../lib/base/clock.ts";
import { textBody } from "../../../lib/sip/message/body.ts";
import type { Call, CallEvent } from "../../../lib/sip/ua/call.ts";
import type { Invitation } from "../../../lib/sip/ua/invitation.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import type { UserAgent } from "../../../lib/sip/ua/user_agent.ts";
import { pair } from "../../support/sip_calls.ts";
import { sdp, SipNetwork } from "../../support/sip_network.ts";

const RUNS = 40;
const CALLS_PER_RUN = 6;

class Chaos {
  readonly network: SipNetwork;
  readonly outcomes: string[] = [];
  readonly calls: Call[] = [];
  readonly #random: Random;
  readonly #tasks = new Set<Promise<void>>();

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.network = new SipNetwork({
      seed,
      loss: this.#random.float() * 0.3,
      duplication: this.#random.float() * 0.4,
    });
  }

  get busy(): boolean {
    return this.#tasks.size > 0;
  }

  spawn(task: () => Promise<void>): void {
    const running: Promise<void> = task().finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
  }

  chance(share: number): boolean {
    return this.#random.float() < share;
  }

  async pause(longestMs: number): Promise<void> {
    await delay(this.network.clock, this.#random.float() * longestMs, new AbortController().signal);
  }

  async dial(agent: UserAgent, to: string): Promise<void> {
    await this.pause(3_000);
    const abort = new AbortController();
    if (this.chance(0.3)) {
      this.spawn(async () => {
        await this.pause(4_000);
        abort.abort();
      });
    }
    const offer = this.chance(0.8) ? sdp("offer") : null;
    for await (const step of agent.invite(parseNameAddr(to), offer, abort.signal)) {
      this.outcomes.push(step.type === "refused" ? `refused ${step.status}` : step.type);
      if (step.type === "accepted") await this.talk(step.call);
    }
  }

  async listen(agent: UserAgent): Promise<void> {
    for await (const invitation of agent.invitations()) this.spawn(() => this.answer(invitation));
  }

  async answer(invitation: Invitation): Promise<void> {
    if (this.chance(0.7)) invitation.ring();
    await this.pause(3_000);
    if (this.chance(0.2)) return invitation.refuse(486, "Busy Here");
    const outcome = await invitation.accept(sdp("answer"));
    this.outcomes.push(outcome.type === "failed" ? `failed: ${outcome.reason}` : "confirmed");
    if (outcome.type === "confirmed") await this.talk(outcome.call);
  }

  async talk(call: Call): Promise<void> {
    this.calls.push(call);
    this.spawn(async () => {
      for (let n = 0; n < 4; n++) {
        await this.pause(2_000);
        if (this.chance(0.5)) this.outcomes.push(`reoffer ${(await call.reoffer(sdp(`offer ${n}`))).type}`);
        else this.outcomes.push(`message ${await call.message(textBody(`${n}`))}`);
      }
      await call.hangUp();
    });
    for await (const event of call.events()) this.spawn(() => this.react(event));
  }

  async react(event: CallEvent): Promise<void> {
    if (event.type !== "offer") return;
    await this.pause(1_000);
    if (this.chance(0.2)) event.refuse(488, "Not Acceptable Here");
    else await event.answer(sdp("answer"));
  }
}

async function run(seed: number): Promise<string[]> {
  const chaos = new Chaos(seed);
  const { network } = chaos;
  const { alice, bob, endpoints } = pair(network);
  const listening = [chaos.listen(alice), chaos.listen(bob)];
  for (let n = 0; n < CALLS_PER_RUN; n++) {
    const [agent, to] = n % 2 === 0
      ? [alice, "sip:bob@10.0.0.2"] as const
      : [bob, "sip:alice@10.0.0.1"] as const;
    chaos.spawn(() => chaos.dial(agent, to));
  }
  if (chaos.chance(0.2)) {
    chaos.spawn(async () => {
      await chaos.pause(6_000);
      await bob[Symbol.asyncDispose]();
    });
  }
  await network.until(`the end of everything (seed ${seed})`, () => !chaos.busy, 600_000);
  for (const call of chaos.calls) assert.ok(call.ending !== null, `seed ${seed}: a call did not end`);
  await network.close(...endpoints);
  await Promise.all(listening);
  await network.clock.advanceAsync(200);
  assert.deepEqual(network.log.at("error"), [], `seed ${seed}`);
  assert.deepEqual(endpoints.map((endpoint) => endpoint.dialogCount), [0, 0], `seed ${seed}: dialogs left`);
  assert.equal(network.clock.pending, 0, `seed ${seed}: timers left`);
  return chaos.outcomes;
}

Deno.test("forty random evenings on a bad network end well", async () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= RUNS; seed++) {
    for (const outcome of await run(seed)) seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  }
  for (
    const expected of [
      "accepted",
      "confirmed",
      "refused 486",
      "refused 487",
      "reoffer accepted",
      "message 200",
    ]
  ) {
    assert.ok(seen.has(expected), `never happened: ${expected}; ${JSON.stringify([...seen])}`);
  }
});
