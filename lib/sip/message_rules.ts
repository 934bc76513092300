// What the headers of a message must look like before anybody acts on them (RFC 3261 8.1.1, 8.2, 16.3, 20).
// What is checked here, other files may parse without a net: topmost Via, From, To, CSeq, Call-ID, Max-Forwards,
// Content-Length, Content-Type of requests, and Contact, Route and Record-Route where dialogs use them.
// Role: wire
// Answers to: the one-line checks in siprtmp's Message.parse and Stack.receivedRequest.

import { WireError } from "../base/errors.ts";
import { parseDecimal } from "./grammar.ts";
import type { SipHeaders } from "./header.ts";
import { parseContentType, parseCSeq } from "./header_values.ts";
import { parseVia } from "./header_via.ts";
import { parseNameAddr } from "./name_addr.ts";

const ONCE: readonly string[] = ["From", "To", "Call-ID", "CSeq", "Max-Forwards"];
const WANTED: readonly string[] = ["Via", "From", "To", "Call-ID", "CSeq"];
/** Requests whose Contact this program uses as an address to send to. */
const CONTACT_METHODS: ReadonlySet<string> = new Set([
  "INVITE",
  "UPDATE",
  "SUBSCRIBE",
  "NOTIFY",
  "REFER",
  "REGISTER",
]);
/** Methods whose provisional and 2xx responses make or refresh dialogs. */
const DIALOG_METHODS: ReadonlySet<string> = new Set(["INVITE", "UPDATE", "SUBSCRIBE", "REFER"]);

/** What is wrong with the headers of a request, in a few words; null when nothing is. */
export function requestProblem(method: string, headers: SipHeaders): string | null {
  return commonProblem(headers) ?? problemIn("CSeq", () => {
    if (parseCSeq(headers.get("CSeq")!).method !== method) throw new WireError("SIP", "other method in CSeq");
  }) ?? maxForwardsProblem(headers) ??
    problemIn("Content-Type", () => {
      const type = headers.get("Content-Type");
      if (type !== null) parseContentType(type);
    }) ?? addressesProblem("Route", headers) ?? addressesProblem("Record-Route", headers) ??
    (CONTACT_METHODS.has(method) ? contactProblem(method, headers) : null);
}

/** What is wrong with the headers of a response; null when nothing is. */
export function responseProblem(status: number, headers: SipHeaders): string | null {
  const common = commonProblem(headers) ?? problemIn("CSeq", () => void parseCSeq(headers.get("CSeq")!));
  if (common !== null || status >= 300 || status === 100) return common;
  if (!DIALOG_METHODS.has(parseCSeq(headers.get("CSeq")!).method)) return null;
  return addressesProblem("Record-Route", headers) ?? addressesProblem("Contact", headers);
}

function commonProblem(headers: SipHeaders): string | null {
  for (const name of WANTED) if (!headers.get(name)) return `No ${name} header`;
  for (const name of ONCE) if (headers.all(name).length > 1) return `More than one ${name} header`;
  return problemIn("Via", () => void parseVia(headers.get("Via")!)) ??
    problemIn("From", () => void parseNameAddr(headers.get("From")!)) ??
    problemIn("To", () => void parseNameAddr(headers.get("To")!)) ??
    (/\s/.test(headers.get("Call-ID")!) ? "Bad Call-ID header" : null);
}

function maxForwardsProblem(headers: SipHeaders): string | null {
  const value = headers.get("Max-Forwards");
  return value !== null && parseDecimal(value, 255) === null ? "Bad Max-Forwards header" : null;
}

function addressesProblem(name: string, headers: SipHeaders): string | null {
  return problemIn(name, () => {
    for (const value of headers.all(name)) parseNameAddr(value);
  });
}

function contactProblem(method: string, headers: SipHeaders): string | null {
  const values = headers.all("Contact");
  if (method === "REGISTER" && values.includes("*")) {
    return values.length === 1 ? null : "Contact * beside other contacts";
  }
  return addressesProblem("Contact", headers);
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
  const values = new Set(headers.all("Content-Length"));
  if (values.size === 0) return null;
  const [value] = values;
  return values.size > 1 ? "bad" : parseDecimal(value!, Number.MAX_SAFE_INTEGER) ?? "bad";
}
