// Dialling by URL: rtmp://gateway/sip/user@domain?dial=number lets a program that can only publish or play
// (ffmpeg, ffplay) make a call. The call starts with its first audio, or with its play; when the call is over
// the connection ends, which such programs understand.
// Role: wire
// Answers to: nothing in siprtmp, where dialling took a program written for it.

/** What the URL asks for, or nothing. */
export function dialledByUrl(query: string): string | null {
  // A plus sign is part of a telephone number here, not a space as in a web form.
  const destination = new URLSearchParams(query.replaceAll("+", "%2B")).get("dial")?.trim() ?? "";
  return destination === "" || destination.length > 256 ? null : destination;
}

/** Codec tokens for a program that is about to play and can play anything we pass through. */
export const PLAYER_CODECS: readonly string[] = ["pcmu", "pcma", "wideband"];

/** Codec tokens for a publisher, from the first octet of its first audio tag; empty when we cannot pass it on. */
export function publisherCodecs(tagByte: number): readonly string[] {
  switch (tagByte >> 4) {
    case 7:
      return ["pcma"];
    case 8:
      return ["pcmu"];
    case 11:
      return ["wideband", "narrowband"];
    default:
      return [];
  }
}
