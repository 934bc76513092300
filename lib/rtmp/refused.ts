// A server's "no" to a client: the object of `_error`, or a status event of level error.
// Adobe RTMP 1.0, sections 7.2.1.1 and 7.2.2.
// Role: wire

import { type AmfValue, getProperty, propertiesOf, textOf } from "../amf/value.ts";

/** A call, publish or play that the server has refused. */
export class RtmpRefused extends Error {
  /** As "NetConnection.Connect.Rejected"; empty when the server gave none. */
  readonly code: string;
  /** The server's own words. */
  readonly description: string;

  /** Made from what the server said. */
  constructor(code: string, description: string) {
    super(description === "" ? code || "refused without a reason" : description);
    this.name = "RtmpRefused";
    this.code = code;
    this.description = description;
  }

  /** From a status object, or from whatever the server sent instead. */
  static from(value: AmfValue): RtmpRefused {
    const members = propertiesOf(value);
    const description = typeof value === "string" ? value : textOf(getProperty(members, "description"));
    return new RtmpRefused(textOf(getProperty(members, "code")), description);
  }
}
