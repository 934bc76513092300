// How an RTMP client shows who it is, in the order they count:
//
//   the URL           rtmp://host/live?token=...   or  ?user=alice&password=..., also behind the stream's name
//   an object         connect(url, ..., { token: ... })  or  { user: ..., password: ... }
//   the arguments     connect(url, user, password, ...), as siprtmp's clients give their SIP login
//
// Role: wire

import type { Credentials } from "./access/login_guard.ts";
import { type AmfValue, getProperty, isAmfObject } from "../amf/value.ts";
import { parseQuery } from "./query.ts";

const MAX_LENGTH = 256;

/** Reads them; never throws, what is missing or too long is null. */
export function credentialsOf(
  { query, args = [] }: { readonly query: string; readonly args?: readonly AmfValue[] },
): Credentials {
  const explicit = readNamed(fromQuery(query)) ?? readNamed(fromObject(args));
  const [user, password] = args;
  return explicit ?? { user: textOf(user), password: textOf(password), token: null };
}

/** Whether a client has shown nothing at all. */
export function isNothing({ password, token }: Credentials): boolean {
  return password === null && token === null;
}

type Lookup = (name: string) => string | null;

function fromQuery(query: string): Lookup {
  const parameters = parseQuery(query);
  return (name) => textOf(parameters.get(name) ?? undefined);
}

function fromObject(args: readonly AmfValue[]): Lookup {
  const object = args.find(isAmfObject);
  return (name) => object === undefined ? null : textOf(getProperty(object, name));
}

/** Null when nothing of it is there. */
function readNamed(lookup: Lookup): Credentials | null {
  const found = { user: lookup("user"), password: lookup("password"), token: lookup("token") };
  return found.token === null && found.password === null ? null : found;
}

/** Numbers happen: a program that builds its arguments from text may send 1001 for "1001". */
function textOf(value: AmfValue | undefined): string | null {
  const text = typeof value === "number" && Number.isFinite(value) ? String(value) : value;
  return typeof text === "string" && text !== "" && text.length <= MAX_LENGTH ? text : null;
}
