// A dialog: the two ends of a call, their tags, sequence numbers, route and addresses.
// RFC 3261 12: creation on both sides (12.1), requests inside with loose and strict routes (12.2.1.1), order of
// the requests that arrive (12.2.2), target refresh, and the ACK of a 2xx (13.2.2.4).
// Role: machine

import { nullIfMalformed, WireError } from "../../base/errors.ts";
import { ownText, trimEmptyParams } from "../message/grammar.ts";
import { formatCSeq, SipHeaders } from "../message/header.ts";
import { callIdOf, cseqOf, dialogId, dialogIdOfRequest, tagsOf } from "../message/matching.ts";
import {
  NO_BODY,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  tagOf,
  withTag,
} from "../message/message.ts";
import {
  formatNameAddr,
  type NameAddr,
  nameAddrOf,
  parseNameAddr,
  parseRoute,
  readNameAddr,
} from "../message/name_addr.ts";
import { formatSipUri, parseSipUri, type SipUri } from "../message/uri.ts";
import type { ServerTransactionHandle } from "../transaction/server_transaction_handle.ts";
import { repeatableTo } from "../transaction/client_transaction.ts";
import { unsupportedOptions } from "./capabilities.ts";
import type { DialogRecord } from "./worker_events.ts";

/** Early until a 2xx, terminated after BYE or a final failure. */
type DialogState = "early" | "confirmed" | "terminated";

/** Requests whose Contact moves the peer's target (RFC 3261 12.2, RFC 3311, RFC 6665, RFC 3515). */
const TARGET_REFRESH_METHODS: ReadonlySet<string> = new Set([
  "INVITE",
  "UPDATE",
  "SUBSCRIBE",
  "NOTIFY",
  "REFER",
]);

/** Credentials that the ACK of a 2xx takes over from its INVITE (13.2.2.4). */
const CREDENTIALS = ["Authorization", "Proxy-Authorization"] as const;

/** A restored dialog does not know how many requests were sent after it was written down: a peer takes any gap. */
const CSEQ_GAP = 1000;

interface DialogParts {
  readonly callId: string;
  readonly secure: boolean;
  readonly localText: string;
  readonly remoteText: string;
  readonly localContact: NameAddr | null;
  readonly routes: readonly Route[];
  readonly remoteTarget: SipUri;
  readonly localCSeq: number;
  readonly remoteCSeq: number | null;
  readonly state: DialogState;
}

/** A Request-URI carries neither a method parameter nor headers (19.1.1). */
function asRequestUri(uri: SipUri): SipUri {
  if (uri.headers === null && !uri.params.has("method")) return uri;
  const params = new Map(uri.params);
  params.delete("method");
  return { ...uri, params, headers: null };
}

export class Dialog {
  /** Call-ID and both tags; equals `dialogIdOfRequest` and `dialogIdOfResponse` of what arrives inside. */
  readonly id: string;
  readonly callId: string;
  readonly localTag: string;
  /** The peer's tag; "" for an RFC 2543 peer without one. */
  readonly remoteTag: string;
  /** True when the dialog was set up with a sips URI (12.1). */
  readonly secure: boolean;
  /** Told when the peer's target has changed. */
  onTarget: (() => void) | null = null;
  // Addresses are text: they are seldom looked at, and taken apart each is half a KiB for as long as the call lasts.
  readonly #localText: string;
  readonly #remoteText: string;
  readonly #contactText: string | null;
  #state: DialogState;
  #routes: readonly Route[];
  #remoteTarget: SipUri;
  #localCSeq: number;
  #remoteCSeq: number | null;

  private constructor(parts: DialogParts) {
    this.callId = parts.callId;
    this.localTag = tagOf(parts.localText) ?? "";
    this.remoteTag = tagOf(parts.remoteText) ?? "";
    this.id = dialogId(this.callId, this.localTag, this.remoteTag);
    this.secure = parts.secure;
    this.#localText = ownText(parts.localText);
    this.#remoteText = ownText(parts.remoteText);
    this.#contactText = parts.localContact === null ? null : formatNameAddr(parts.localContact);
    this.#state = parts.state;
    this.#routes = parts.routes;
    this.#remoteTarget = parts.remoteTarget;
    this.#localCSeq = parts.localCSeq;
    this.#remoteCSeq = parts.remoteCSeq;
  }

  /**
   * The caller's dialog, from a 101-199 (early) or 2xx (confirmed) response to its INVITE (12.1.2). A response
   * without a usable Contact leaves the INVITE's Request-URI as the target.
   */
  static fromResponse(request: SipRequest, response: SipResponse): Dialog {
    return new Dialog({
      callId: callIdOf(request),
      secure: request.uri.scheme === "sips",
      localText: request.headers.get("From") ?? "",
      remoteText: repeatableTo(request, response),
      localContact: contactOf(request),
      routes: routesOf(response).reverse(),
      remoteTarget: contactOf(response)?.uri ?? request.uri,
      localCSeq: cseqOf(request).sequence,
      remoteCSeq: null,
      state: response.status < 200 ? "early" : "confirmed",
    });
  }

  /**
   * The callee's dialog, early until `confirm()` (12.1.1).
   *
   * @param localTag the tag our responses carry in To
   * @param localContact the Contact our responses carry
   * Without a Contact, as RFC 2543 allowed, the target is the caller's address: send what is in the dialog to where the
   * INVITE came from.
   *
   * @throws WireError when the INVITE has a Contact that cannot be used: answer 400
   */
  static fromRequest(request: SipRequest, localTag: string, localContact: NameAddr): Dialog {
    const from = request.headers.get("From") ?? "";
    const contact = request.headers.has("Contact") ? contactOf(request) : readNameAddr(from);
    if (contact === null) throw new WireError("SIP", "a request that creates a dialog has no usable Contact");
    return new Dialog({
      callId: callIdOf(request),
      secure: request.uri.scheme === "sips",
      localText: withTag(request.headers.get("To") ?? "", localTag),
      remoteText: from,
      localContact,
      routes: routesOf(request),
      remoteTarget: contact.uri,
      localCSeq: 0,
      remoteCSeq: cseqOf(request).sequence,
      state: "early",
    });
  }

  /**
   * A confirmed dialog whose keeper has broken down, good for ending it.
   *
   * @throws WireError when the record was not written by `record()`
   */
  static restore(record: DialogRecord): Dialog {
    return new Dialog({
      ...record,
      secure: false,
      localContact: record.localContact === null ? null : parseNameAddr(record.localContact),
      routes: record.routes.map((text) => ({ text, address: parseNameAddr(text) })),
      remoteTarget: parseSipUri(record.remoteTarget),
      localCSeq: record.localCSeq + CSEQ_GAP,
      remoteCSeq: null,
      state: "confirmed",
    });
  }

  /** What it takes to end the dialog from elsewhere. @param fallback where it was set up with */
  record(fallback: DialogRecord["fallback"]): DialogRecord {
    return {
      id: this.id,
      callId: this.callId,
      localText: this.#localText,
      remoteText: this.#remoteText,
      localContact: this.#contactText,
      routes: this.#routes.map(({ text }) => text),
      remoteTarget: formatSipUri(this.#remoteTarget),
      localCSeq: this.#localCSeq,
      fallback,
    };
  }

  get local(): NameAddr {
    return readNameAddr(this.#localText);
  }

  get remote(): NameAddr {
    return readNameAddr(this.#remoteText);
  }

  get localContact(): NameAddr | null {
    return this.#contactText === null ? null : parseNameAddr(this.#contactText);
  }

  /** Where the dialog stands. */
  get state(): DialogState {
    return this.#state;
  }

  /** The hops between the ends, nearest first. */
  get routeSet(): readonly NameAddr[] {
    return this.#routes.map((route) => route.address);
  }

  /** The peer's Contact: the Request-URI of what we send. */
  get remoteTarget(): SipUri {
    return this.#remoteTarget;
  }

  /** CSeq number of our latest request; 0 before the callee's first one. */
  get localCSeq(): number {
    return this.#localCSeq;
  }

  /** CSeq number of the peer's latest request; null before the first one. */
  get remoteCSeq(): number | null {
    return this.#remoteCSeq;
  }

  /** The URI to resolve for every request inside, ACK included: the first route, else the target (12.2.1.1). */
  get nextHop(): SipUri {
    return this.#routes[0]?.address.uri ?? this.#remoteTarget;
  }

  /**
   * The INVITE was accepted.
   *
   * @param response the caller's side gives the 2xx: route set and target are taken anew from it (13.2.2.4); routes
   * that cannot be read leave those of the early dialog
   */
  confirm(response?: SipResponse): void {
    if (this.#state === "terminated") return;
    const first = this.#state === "early";
    this.#state = "confirmed";
    if (response === undefined || !first) return;
    const routes = routesOf(response);
    if (routes.length > 0 || !response.headers.has("Record-Route")) this.#routes = routes.reverse();
    this.refreshTarget(response);
  }

  /** The dialog is over (15, 12.3). */
  terminate(): void {
    this.#state = "terminated";
  }

  /** Takes the Contact of a re-INVITE or UPDATE that succeeded, or of the 2xx to ours, as the target (12.2). */
  refreshTarget(message: SipMessage): void {
    const contact = contactOf(message);
    if (contact === null) return;
    this.#remoteTarget = contact.uri;
    this.onTarget?.();
  }

  /**
   * A request inside the dialog with the next CSeq, without Via and body (12.2.1.1). ACK and CANCEL are made
   * elsewhere: `createAck` and `ClientHandle.cancelRequest`.
   */
  createRequest(method: string): SipRequest {
    this.#localCSeq += 1;
    const request = this.#createRequest(method, this.#localCSeq);
    if (this.#contactText !== null && TARGET_REFRESH_METHODS.has(method)) {
      request.headers.set("Contact", this.#contactText);
    }
    return request;
  }

  /** A copy of one of our requests with the next CSeq: the retry after 401, 407, 422 or 491 (22.2, 14.1). */
  renumber(request: SipRequest): SipRequest {
    this.#localCSeq += 1;
    const headers = request.headers.clone();
    headers.set("CSeq", formatCSeq({ sequence: this.#localCSeq, method: request.method }));
    return { ...request, headers };
  }

  /**
   * The ACK for a 2xx, without Via and body (13.2.2.4): CSeq number and credentials of the INVITE.
   *
   * @param invite the INVITE (or re-INVITE) that was answered
   */
  createAck(invite: SipRequest): SipRequest {
    const ack = this.#createRequest("ACK", cseqOf(invite).sequence);
    for (const name of CREDENTIALS) {
      for (const value of invite.headers.all(name)) ack.headers.add(name, value);
    }
    return ack;
  }

  /**
   * Checks the order of a request that arrived (12.2.2) and remembers its CSeq. Not for ACK and CANCEL, whose
   * numbers are those of their INVITE. "out-of-order", a lower number and not an equal one, is answered with 500.
   */
  acceptRequest(request: SipRequest): "ok" | "out-of-order" {
    const { sequence } = cseqOf(request);
    if (this.#remoteCSeq !== null && sequence < this.#remoteCSeq) return "out-of-order";
    this.#remoteCSeq = sequence;
    return "ok";
  }

  #createRequest(method: string, sequence: number): SipRequest {
    const { uri, routes } = this.#routing();
    const headers = new SipHeaders();
    for (const route of routes) headers.add("Route", route);
    headers.add("Max-Forwards", "70");
    headers.add("From", this.#localText);
    headers.add("To", this.#remoteText);
    headers.add("Call-ID", this.callId);
    headers.add("CSeq", formatCSeq({ sequence, method }));
    return { kind: "request", method, uri, headers, body: NO_BODY };
  }

  /** RFC 3261 12.2.1.1: loose routes stand beside the target, a strict first route takes its place. */
  #routing(): { uri: SipUri; routes: string[] } {
    const texts = this.#routes.map((route) => route.text);
    const first = this.#routes[0];
    if (first === undefined || first.address.uri.params.has("lr")) {
      return { uri: asRequestUri(this.#remoteTarget), routes: texts };
    }
    return {
      uri: asRequestUri(first.address.uri),
      routes: [...texts.slice(1), formatNameAddr(nameAddrOf(this.#remoteTarget))],
    };
  }
}

/** One hop: the text goes into Route exactly as it came in Record-Route. */
interface Route {
  readonly text: string;
  readonly address: NameAddr;
}

/** The hops that can be read; those that came without brackets get them. */
export function routesOf(message: SipMessage): Route[] {
  const routes: Route[] = [];
  for (const text of message.headers.all("Record-Route")) {
    const address = nullIfMalformed(() => parseRoute(text));
    if (address === null) continue;
    routes.push({ text: text.includes("<") ? trimEmptyParams(text) : formatNameAddr(address), address });
  }
  return routes;
}

/** The first Contact that can be used; null when there is none. */
export function contactOf(message: SipMessage): NameAddr | null {
  for (const text of message.headers.all("Contact")) {
    const contact = nullIfMalformed(() => parseNameAddr(text));
    if (contact !== null) return contact;
  }
  return null;
}

/**
 * In a few words what is wrong with it; null when it can be used. A missing Contact is no fault: the Request-URI of the
 * INVITE has reached whoever answered.
 */
export function answerFault(response: SipResponse): string | null {
  const contacts = response.headers.all("Contact");
  if (contacts.some((one) => one !== "*") && contactOf(response) === null) {
    return "its Contact cannot be read";
  }
  if (!hasUsableRoute(response)) return "its Record-Route cannot be read";
  const unsupported = unsupportedOptions(response);
  return unsupported.length === 0 ? null : `it requires ${unsupported.join(", ")}`;
}

/** False: requests inside the dialog can only go where the INVITE went. */
export function namesItsTarget(response: SipResponse): boolean {
  return contactOf(response) !== null && hasUsableRoute(response);
}

/** Hops that cannot be read are left out, unless that leaves none. */
function hasUsableRoute(response: SipResponse): boolean {
  return response.headers.all("Record-Route").length === 0 || routesOf(response).length > 0;
}

export interface DialogUser {
  /** Takes a request that arrived inside the dialog and answers it. */
  receive(request: SipRequest, transaction: ServerTransactionHandle): void;
}

export class DialogTable {
  readonly #users = new Map<string, DialogUser>();
  readonly #inviters = new Map<string, DialogUser>();

  get size(): number {
    return this.#users.size;
  }

  /** Requests of the dialog `id` go to `user` from now on. */
  add(id: string, user: DialogUser): void {
    this.#users.set(id, user);
  }

  /** Forgets a dialog, if it still belongs to `user`. */
  remove(id: string, user: DialogUser): void {
    if (this.#users.get(id) === user) this.#users.delete(id);
  }

  /** The user of the dialog a request belongs to, or null (answer 481). */
  find(request: SipRequest): DialogUser | null {
    return this.#users.get(dialogIdOfRequest(request)) ?? this.#inviterOf(request);
  }

  /** A BYE for this INVITE of ours, by a peer that no response of ever arrived from, goes to `inviter`. */
  addInvite(callId: string, localTag: string, inviter: DialogUser): void {
    this.#inviters.set(inviteKey(callId, localTag), inviter);
  }

  removeInvite(callId: string, localTag: string): void {
    this.#inviters.delete(inviteKey(callId, localTag));
  }

  #inviterOf(request: SipRequest): DialogUser | null {
    if (request.method !== "BYE" || this.#inviters.size === 0) return null;
    return this.#inviters.get(inviteKey(callIdOf(request), tagsOf(request).to)) ?? null;
  }
}

function inviteKey(callId: string, localTag: string): string {
  return `${callId}\n${localTag}`;
}
