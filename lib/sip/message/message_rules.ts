// What a message must hold before anybody acts on it (RFC 3261 8.1.1, 8.2, 16.3, 20). Asked is for what is needed and
// has no one meaning; what is malformed and not needed is ignored (8.2), and nothing but the identity of its
// transaction and dialog is needed of what belongs to a call: no BYE is refused for a header.
// Role: wire

import { WireError } from "../../base/errors.ts";
import { parseDecimal, trimBlanks } from "./grammar.ts";
import type { SipHeaders } from "./header.ts";
import { parseCSeq } from "./header_values.ts";
import { parseVia } from "./header_via.ts";
import { tagOf } from "./message.ts";
import { parseNameAddr } from "./name_addr.ts";

/** Most contacts looked at: one that can be used, where one is enough, is among the first. */
const MAX_CONTACTS = 100;
const IDENTITY: readonly string[] = ["From", "To", "Call-ID", "CSeq"];
/** Requests outside dialogs whose Contact is used as an address to send to. */
const CONTACT_METHODS: ReadonlySet<string> = new Set(["INVITE", "SUBSCRIBE", "NOTIFY", "REFER", "REGISTER"]);
/** Requests that belong to another one, or end a call: they are read as far as it goes. */
const ENDING_METHODS: ReadonlySet<string> = new Set(["ACK", "BYE", "CANCEL"]);

/** What is wrong with the headers of a request, in a few words; null when nothing is that matters. */
export function requestProblem(method: string, headers: SipHeaders): string | null {
  const common = commonProblem(headers) ?? cseqProblem(headers, method);
  if (common !== null || !standsAlone(method, headers)) return common;
  if (contentLengthOf(headers) === "bad") return "Bad Content-Length header";
  return viaProblem(headers) ?? (CONTACT_METHODS.has(method) ? contactProblem(method, headers) : null);
}

/** What is wrong with the headers of a response; null when nothing is that matters. */
export function responseProblem(headers: SipHeaders): string | null {
  return commonProblem(headers) ?? cseqProblem(headers, null);
}

/** Whether a request is the beginning of something, so that refusing it costs nobody a call. */
function standsAlone(method: string, headers: SipHeaders): boolean {
  return !ENDING_METHODS.has(method) && tagOf(headers.get("To")) === null;
}

function commonProblem(headers: SipHeaders): string | null {
  if (!headers.get("Via")) return "No Via header";
  for (const name of IDENTITY) {
    const values = headers.all(name);
    if (!values[0]) return `No ${name} header`;
    // Twice the same has one meaning.
    if (values.some((value) => value !== values[0])) return `More than one ${name} header`;
  }
  return null;
}

/** @param method of the request; null: any */
function cseqProblem(headers: SipHeaders, method: string | null): string | null {
  return problemIn("CSeq", () => {
    const cseq = parseCSeq(headers.get("CSeq")!);
    if (method !== null && cseq.method !== method) throw new WireError("SIP", "other method in CSeq");
  });
}

/** The topmost Via must be one; below it nothing is read, but an element that is only separators is no Via. */
function viaProblem(headers: SipHeaders): string | null {
  if (headers.all("Via").some((value) => value.startsWith(";"))) return "Bad Via header";
  return problemIn("Via", () => void parseVia(headers.get("Via")!));
}

/** One Contact that can be used is enough; for a REGISTER all are used. */
function contactProblem(method: string, headers: SipHeaders): string | null {
  const values = headers.all("Contact");
  if (values.length === 0) return null;
  if (method !== "REGISTER") {
    return values.slice(0, MAX_CONTACTS).some(isAddress) ? null : "Bad Contact header";
  }
  if (values.includes("*")) return values.length === 1 ? null : "Contact * beside other contacts";
  return values.length <= MAX_CONTACTS && values.every(isAddress) ? null : "Bad Contact header";
}

function isAddress(text: string): boolean {
  return problemIn("", () => void parseNameAddr(text)) === null;
}

function problemIn(name: string, check: () => void): string | null {
  try {
    check();
    return null;
  } catch (error) {
    if (error instanceof WireError) return `Bad ${name} header`;
    throw error;
  }
}

/** Length of the body by Content-Length: null when the header is missing. "bad": no number, or two that differ. */
export function contentLengthOf(headers: SipHeaders): number | null | "bad" {
  let length: number | null = null;
  for (const value of headers.all("Content-Length")) {
    const text = trimBlanks(value.startsWith("+") ? value.slice(1) : value);
    const read = parseDecimal(text, Number.MAX_SAFE_INTEGER);
    if (read === null || length !== null && read !== length) return "bad";
    length = read;
  }
  return length;
}
