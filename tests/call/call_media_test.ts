// What every implementation of CallMedia promises to the call logic. The recording one of the tests and the real
// one must agree, or the tests of the call logic prove nothing.

import assert from "node:assert/strict";
import type { CallMedia } from "../../lib/call/call_media.ts";
import type { SipBody } from "../../lib/sip/message/body.ts";
import { RecordingMedia } from "../support/gateway_fakes.ts";
import { description, fakeMediaBench } from "../support/gateway_media.ts";
import { sdp } from "../support/sip_network.ts";

/** One implementation, and descriptions of a peer that mean the same to it. */
interface Subject extends AsyncDisposable {
  readonly media: CallMedia;
  readonly good: SipBody;
  readonly held: SipBody;
  readonly unusable: SipBody;
}

function recording(): Subject {
  const media = new RecordingMedia();
  return {
    media,
    good: sdp("good"),
    held: sdp("on hold"),
    unusable: sdp("bad"),
    [Symbol.asyncDispose]: () => Promise.resolve(media[Symbol.dispose]()),
  };
}

function real(): Subject {
  const bench = fakeMediaBench();
  const { media } = bench.open("192.0.2.1", ["pcmu", "dtmf"]);
  const line = "m=audio 4000 RTP/AVP 0 101";
  return {
    media,
    good: description("192.0.2.9", line, "a=rtpmap:101 telephone-event/8000"),
    held: description("192.0.2.9", line, "a=rtpmap:101 telephone-event/8000", "a=sendonly"),
    unusable: description("192.0.2.9", "m=audio 4000 RTP/AVP 18"),
    async [Symbol.asyncDispose]() {
      media[Symbol.dispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}

for (const [name, open] of [["recording", recording], ["real", real]] as const) {
  Deno.test(`${name} media: an answer and an offer are agreed, or none with a reason`, async () => {
    await using subject = open();
    const { media, good, unusable } = subject;
    assert.ok(media.makeOffer().bytes.length > 0);
    assert.equal(media.takeAnswer(good).type, "agreed");
    const answered = media.takeOffer(good);
    assert.ok(answered.type === "agreed" && answered.answer.bytes.length > 0);
    for (const outcome of [media.takeAnswer(unusable), media.takeOffer(unusable)]) {
      assert.ok(outcome.type === "none" && outcome.reason.length > 0);
    }
  });

  Deno.test(`${name} media: hold follows the last usable description, and ours is not theirs`, async () => {
    await using subject = open();
    const { media, good, held, unusable } = subject;
    assert.equal(media.heldByRemote, false);
    const seen = [good, held, held, unusable, good].map((offer) => {
      media.takeOffer(offer);
      return media.heldByRemote;
    });
    assert.deepEqual(seen, [false, true, true, true, false]);
    media.setHold(true);
    assert.equal(media.heldByRemote, false);
  });

  Deno.test(`${name} media: outlets may be missing, publishing and disposing again are harmless`, async () => {
    await using subject = open();
    const { media, good } = subject;
    media.takeOffer(good);
    media.toRtmp = null;
    media.onDigit = null;
    media.publisherChanged();
    media.fromRtmp({ type: 8, timeMs: 0, body: new Uint8Array([0x82, 1]) });
    media.fromRtmp({ type: 18, timeMs: 0, body: new Uint8Array([2]) });
    assert.equal(media.sendDigits("1", 160), true);
    media[Symbol.dispose]();
    media[Symbol.dispose]();
    assert.ok(media.summary().length > 0);
  });
}
