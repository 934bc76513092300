// One picture, put together in all the ways in which senders do it.

import { concatBytes, fromHex } from "../../lib/base/bytes.ts";
import { avc } from "./media_h264.ts";

/** NAL units in Annex B format. */
export function annexB(nals: readonly Uint8Array[], code = "00000001"): Uint8Array {
  return concatBytes(nals.flatMap((nal) => [fromHex(code), nal]));
}

/** A way to put NAL units together. */
export interface H264Form {
  readonly what: string;
  readonly lengthSize?: 1 | 2 | 4;
  readonly of: (nals: readonly Uint8Array[]) => Uint8Array;
}

/** All of them; those of `lengthSize` need a configuration that says so. */
export const H264_FORMS: readonly H264Form[] = [
  { what: "lengths of four octets", of: (nals) => avc(nals) },
  { what: "lengths of two octets", lengthSize: 2, of: (nals) => avc(nals, 2) },
  { what: "lengths of one octet", lengthSize: 1, of: (nals) => avc(nals, 1) },
  { what: "lengths, some of nothing", of: (nals) => avc([new Uint8Array(0), ...nals, new Uint8Array(0)]) },
  { what: "start codes", of: (nals) => annexB(nals) },
  { what: "short start codes", of: (nals) => annexB(nals, "000001") },
  { what: "start codes behind more zeros", of: (nals) => annexB(nals, "0000000000000001") },
  {
    what: "start codes of both kinds",
    of: ([first, ...rest]) => concatBytes([annexB([first!]), annexB(rest, "000001")]),
  },
  { what: "start codes, zeros at the end", of: (nals) => concatBytes([annexB(nals), fromHex("000000")]) },
  {
    what: "one length around start codes",
    of: ([first, ...rest]) => avc([concatBytes([first!, annexB(rest)])]),
  },
  { what: "one length around start codes, the first included", of: (nals) => avc([annexB(nals)]) },
  { what: "each length around a start code", of: (nals) => avc(nals.map((nal) => annexB([nal]))) },
  {
    what: "each length around a short start code",
    of: (nals) => avc(nals.map((nal) => annexB([nal], "000001"))),
  },
  {
    what: "two octets of length around start codes",
    lengthSize: 2,
    of: (nals) => avc(nals.map((nal) => annexB([nal])), 2),
  },
];
