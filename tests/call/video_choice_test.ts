import assert from "node:assert/strict";
import type { PlannedFormat } from "../../lib/call/codec_tokens.ts";
import { chooseVideo, type VideoCandidate } from "../../lib/call/video_choice.ts";
import { mediaFormat } from "../../lib/sdp/media_format.ts";

const LOCAL = "profile-level-id=420014;packetization-mode=1";

function candidate(
  client: "h264" | "x-flv",
  payloadType: number,
  fmtp: string | null = null,
): VideoCandidate {
  const name = client === "h264" ? "H264" : "x-flv";
  const planned: PlannedFormat = {
    format: mediaFormat(99, name, 90_000),
    kind: "video",
    remote: client,
    client,
  };
  const agreed = {
    sendPayloadType: payloadType,
    receivePayloadTypes: [payloadType + 1],
    name,
    clockRate: 90_000,
    channels: 1,
    fmtp,
    localFmtp: client === "h264" ? LOCAL : null,
    rtcpFb: ["nack pli"],
  };
  return { agreed, planned };
}

Deno.test("nothing in common, and x-flv first", () => {
  assert.deepEqual(chooseVideo([]), { kind: "none" });
  assert.deepEqual(chooseVideo([candidate("x-flv", 97), candidate("h264", 99)]), {
    kind: "x-flv",
    sendPayloadType: 97,
    receivePayloadTypes: [98],
  });
});

Deno.test("H.264: parameter sets apart from the other parameters, feedback and payload types kept", () => {
  const fmtp = "profile-level-id=42e01f;sprop-parameter-sets=Z0I=,aM4=;packetization-mode=1";
  assert.deepEqual(chooseVideo([candidate("h264", 96, fmtp), candidate("x-flv", 97)]), {
    kind: "h264",
    mode: 1,
    fmtp: "profile-level-id=42e01f;packetization-mode=1",
    sprop: "Z0I=,aM4=",
    localFmtp: LOCAL,
    rtcpFb: ["nack pli"],
    sendPayloadType: 96,
    receivePayloadTypes: [97],
  });
});

Deno.test("H.264 in several modes: mode 1 is sent, each is heard", () => {
  const chosen = chooseVideo([
    candidate("h264", 96, null),
    candidate("h264", 102, "packetization-mode=1"),
    candidate("h264", 104, "profile-level-id=42e01f"),
  ]);
  assert.ok(chosen.kind === "h264");
  assert.deepEqual([chosen.mode, chosen.sendPayloadType, chosen.receivePayloadTypes], [
    1,
    102,
    [97, 103, 105],
  ]);
  const single = chooseVideo([candidate("h264", 96), candidate("h264", 104)]);
  assert.deepEqual(single.kind === "h264" && [single.mode, single.sendPayloadType, single.fmtp], [
    0,
    96,
    null,
  ]);
});
