import assert from "node:assert/strict";
import { readSdpLines, sdpError } from "../../lib/sdp/description_lines.ts";
import { WireError } from "../../lib/base/errors.ts";
import { sdpText } from "../support/sdp_lines.ts";

Deno.test("SDP lines: cut at m= lines, mended, unread attributes kept", () => {
  const text = sdpText(
    "v=0",
    "o=-   1  2 IN IP4 192.0.2.1",
    "s=a  name",
    "a=group:BUNDLE 0",
    "m=Audio 4000/2 RTP/AVP 0  8",
    "c=in ip4 192.0.2.9/64",
    "A=Rtpmap: 0  PCMU/8000",
    "a=mid:0",
    "a=",
  );
  assert.deepEqual(readSdpLines(text), [
    { mediaLine: null, lines: ["o=- 1 2 IN IP4 192.0.2.1"], otherAttributes: ["group:BUNDLE 0"] },
    {
      mediaLine: { kind: "audio", port: 4000, protocol: "RTP/AVP", formats: ["0", "8"] },
      lines: ["m=x 0 x x", "c=IN IP4 192.0.2.9", "a=rtpmap:0 PCMU/8000"],
      otherAttributes: ["mid:0"],
    },
  ]);
});

Deno.test("SDP lines: separators of lines and paragraphs are characters, tabs are blanks", () => {
  const [session, audio] = readSdpLines(sdpText(
    "v=0",
    "o=- 1 2 IN IP4 192.0.2.1",
    "s=a\u2028name",
    "a=tool:x\u2029y",
    "m=audio\t4000 RTP/AVP\t0 \u2028 8",
    "a=mid:\u20280",
    "a=fmtp:8 x=1;\u2028y=2",
  ));
  assert.deepEqual(session!.otherAttributes, ["tool:x\u2029y"]);
  assert.deepEqual(audio, {
    mediaLine: { kind: "audio", port: 4000, protocol: "RTP/AVP", formats: ["0", "8"] },
    lines: ["m=x 0 x x", "a=fmtp:8 x=1; y=2"],
    otherAttributes: ["mid:\u20280"],
  });
});

Deno.test("SDP lines: a broken m= line is refused", () => {
  for (
    const line of [
      "m=",
      "m=audio",
      "m=audio 1",
      "m=audio x RTP/AVP 0",
      "m=audio 65536 RTP/AVP 0",
      "m=a( 1 x 0",
    ]
  ) {
    assert.throws(() => readSdpLines(sdpText("v=0", line)), /broken m= line/, line);
  }
});

Deno.test("SDP lines: every line ending counts", () => {
  for (const end of ["\r\n", "\n", "\r"]) {
    const [session, audio] = readSdpLines(["v=0", "m=audio 1 RTP/AVP 0", "a=mid:1", ""].join(end));
    assert.deepEqual(session!.lines, []);
    assert.deepEqual(audio!.otherAttributes, ["mid:1"]);
  }
});

Deno.test("SDP lines: errors name the protocol", () => {
  assert.ok(sdpError("x") instanceof WireError);
  assert.throws(() => readSdpLines("m=audio 1 RTP/AVP 0"), /SDP: it does not begin with v=0/);
});
