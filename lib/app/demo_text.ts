// The addresses of a running demo, and what to try with them.
// Answers to: the test page of siprtmp, whose five fields had to be filled in by hand.
// Role: wire

import { type Endpoint, formatEndpoint, isUnspecified } from "../net/endpoint.ts";

/** Where the demo's client connects, and what to print when the first call is over. */
export interface DemoAddresses {
  /** The first call's RTMP URL. */
  readonly url: string;
  /** What to print afterwards. */
  readonly text: string;
}

export function demoAddresses(rtmp: Endpoint, sipd: Endpoint): DemoAddresses {
  const gateway = formatEndpoint({
    ...rtmp,
    hostname: isUnspecified(rtmp.hostname) ? "127.0.0.1" : rtmp.hostname,
  });
  const domain = formatEndpoint(sipd);
  // ffmpeg takes a colon in the path for the start of a stream name; percent-encoded it stays in the address.
  const encoded = domain.replaceAll(":", "%3A");
  const dialled = (user: string, number: string, stream: string) =>
    `"rtmp://${gateway}/sip/${user}@${encoded}?dial=${number}/${stream}"`;
  return {
    url: `rtmp://${gateway}/sip/demo@${domain}`,
    text: [
      "",
      "Still running. Try, from another terminal:",
      "",
      `  deno task call rtmp://${gateway}/sip/me@${domain} echo`,
      `  deno task call rtmp://${gateway}/sip/me@${domain} echo --codec pcmu`,
      "",
      "Hear a tone with ffplay, send one with ffmpeg (G.711; the remote party is dialled by the URL):",
      "",
      `  ffplay -nodisp ${dialled("ear", "tone", "remote")}`,
      `  ffmpeg -re -f lavfi -i sine=440 -c:a pcm_mulaw -ar 8000 -ac 1 -f flv ${
        dialled("mouth", "echo", "local")
      }`,
      "",
      `SIP phones register at ${domain}, any user, any password; numbers: echo, tone, and each other.`,
      "Ctrl-C ends it.",
    ].join("\n"),
  };
}
