// What is thrown for a message that breaks the rules, with all that is needed to answer it.
// Role: wire

import { WireError } from "../../base/errors.ts";
import { SIP } from "./grammar.ts";
import type { SipRequest, SipResponse } from "./message.ts";

/** Statuses that answer a message which cannot be processed as it is. */
export type ParseStatus = 400 | 414 | 416 | 505 | 513;

export class SipParseError extends WireError {
  readonly status: ParseStatus;
  /** What is wrong, short enough for a reason phrase. */
  readonly problem: string;
  /**
   * The request as far as it was understood, when enough was to send `status` back (a Via; never for ACK and
   * responses). Its URI may be a placeholder.
   */
  readonly partial: SipRequest | null;

  /** The response as far as it was understood, when enough was to say what it answers: that is not to wait on. */
  readonly response: SipResponse | null;

  /** Made by the parsers. @param problem what is wrong */
  constructor(
    status: ParseStatus,
    problem: string,
    partial: SipRequest | null,
    response: SipResponse | null = null,
  ) {
    super(SIP, problem);
    this.name = "SipParseError";
    this.status = status;
    this.problem = problem;
    this.partial = partial;
    this.response = response;
  }
}
