// A client of the gateway, whole but for RTMP and media: a real Context and a real SIP user agent on a network in
// memory. The test is the RTMP client on one side and the SIP peer on the other.
// Role: edge

import assert from "node:assert/strict";
import type { AmfValue } from "../../lib/amf/value.ts";
import { Context } from "../../lib/gateway/context.ts";
import { dialledByUrl, type UrlDial } from "../../lib/gateway/urls.ts";
import type { SipEndpoint } from "../../lib/sip/ua/endpoint.ts";
import type { SipRequest, SipResponse } from "../../lib/sip/message/message.ts";
import {
  callShared,
  RecordingFactory,
  RecordingLink,
  RecordingReply,
  type RecordingStream,
} from "./gateway_fakes.ts";
import { identity, type ScriptedPeer, sdp, type SipNetwork } from "./sip_network.ts";

/** Where the phone is. */
export const PHONE_HOST = "10.0.0.1";

/** Who it is. */
export const PHONE_URI = "sip:alice@10.0.0.1";

/** How it is made. */
export interface GatewayPhoneOptions {
  /** Registers with it. */
  readonly password?: string;
  /** The address of record, alice@10.0.0.1 by default. */
  readonly aor?: string;
  /** Dials by URL. */
  readonly dialByUrl?: string;
}

function urlDial(destination: string | undefined): UrlDial | null {
  return destination === undefined ? null : { ...dialledByUrl("dial=x")!, destination };
}

/** Alice, who is at 10.0.0.1. */
export class GatewayPhone {
  /** What she is told. */
  readonly link = new RecordingLink();
  /** Her media. */
  readonly factory = new RecordingFactory();
  /** The gateway's side of her. */
  readonly context: Context;
  readonly #network: SipNetwork;
  readonly #endpoint: SipEndpoint;

  /** Connected, but not registered. */
  constructor(network: SipNetwork, options: GatewayPhoneOptions = {}) {
    this.#network = network;
    this.#endpoint = network.endpoint(PHONE_HOST);
    const agent = this.#endpoint.createUserAgent(
      identity(options.aor ?? PHONE_URI, options.password ?? null),
    );
    const services = { shared: callShared(network.clock), log: network.log, media: this.factory };
    const dialByUrl = urlDial(options.dialByUrl);
    this.context = new Context({ link: this.link, agent, services, dialByUrl });
    this.context.start();
  }

  /** She calls an RPC. */
  rpc(name: string, ...args: AmfValue[]): RecordingReply {
    const reply = new RecordingReply();
    this.context.handle({ type: "command", name, args, streamId: 0, reply });
    return reply;
  }

  /** She publishes. */
  publish(stream: RecordingStream): void {
    const event = { type: "publish", stream: stream.net, name: "local", query: "", mode: "live" } as const;
    this.context.handle(event);
  }

  /** She plays. */
  play(stream: RecordingStream): void {
    this.context.handle({
      type: "play",
      stream: stream.net,
      name: "remote",
      query: "",
      start: -2,
      duration: -1,
      reset: true,
    });
  }

  /** A publisher or player of hers ends. */
  ended(stream: RecordingStream, was: "publish" | "play"): void {
    this.context.handle({ type: "ended", stream: stream.net, was });
  }

  /** She publishes one message. */
  send(stream: RecordingStream, timeMs: number, body: readonly number[] = [0xb2, 1], type: 8 | 9 = 8): void {
    this.context.media(stream.net, { type, timeMs, body: Uint8Array.from(body) });
  }

  /** Waits until she has been told this many things, and takes them. */
  async told(count: number): Promise<string[]> {
    await this.#network.until(
      `${count} callbacks, have ${this.link.calls}`,
      () => this.link.calls.length >= count,
    );
    return this.link.take();
  }

  /** Calls bob, whose phone rings and answers; gives what he needs to go on. */
  async callBob(bob: ScriptedPeer): Promise<{ invite: SipRequest; response: SipResponse }> {
    this.rpc("invite", `sip:bob@${bob.at.hostname}`);
    const invite = await bob.request("INVITE");
    const response = bob.answer(invite, 200, { body: sdp("bob") });
    await bob.request("ACK");
    assert.deepEqual(await this.told(1), ["accepted()"]);
    return { invite, response };
  }

  /** She leaves. Nothing may be left of her: no task, media, dialog, transaction or timer. */
  async leave(): Promise<void> {
    await this.#network.settled(this.context[Symbol.asyncDispose]());
    assert.deepEqual([this.context.leg.scope.size, this.factory.openCount, this.context.leg.state.type], [
      0,
      0,
      "idle",
    ]);
    assert.equal(this.#endpoint.dialogCount, 0);
    await this.#network.close(this.#endpoint);
    await this.#network.clock.advanceAsync(this.#network.options.latencyMs * 4);
    assert.equal(this.#network.clock.pending, 0, "a timer is left");
    assert.deepEqual(this.#network.log.at("error"), []);
  }
}
