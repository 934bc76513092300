// What a stream of the call and line applications names: an account, what stands behind it, and the key.
//
//   rtmp://gateway/call/desk/+4930123?key=...      call / account / whom to call
//   rtmp://gateway/line/desk/say?key=...           line / account / side of its line
//
// The query may stand at either. Percent-encoding is undone once; a plus sign is one.
// Role: wire

import { joinStreamPath } from "../rtmp/stream_path.ts";
import { decodePercent } from "./apps/app_path.ts";
import { parseQuery } from "./query.ts";

export interface AccountStream {
  readonly account: string;
  /** What stands behind it, decoded; "" for nothing. */
  readonly rest: string;
  /** The key that was shown; null: none. */
  readonly key: string | null;
}

/** What was read, or what is wrong with it in words for the client. */
export type AccountPath =
  | ({ readonly type: "stream" } & AccountStream)
  | { readonly type: "wrong"; readonly reason: string };

export interface AccountPathParts {
  /** The `app` of connect. */
  readonly app: string;
  readonly connectQuery: string;
  readonly name: string;
  /** Query behind the name. */
  readonly query: string;
}

const MAX_REST_LENGTH = 256;

// deno-lint-ignore no-control-regex -- the control characters are what is looked for
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;

/** Puts the pieces together; never throws. */
export function parseAccountPath(
  application: "call" | "line",
  { app, connectQuery, name, query }: AccountPathParts,
): AccountPath {
  const whole = joinStreamPath(app, name);
  if (whole === null) return wrong("the name is too long");
  const [first, encodedAccount = "", ...behind] = whole.split("/");
  if (first !== application) return wrong(`the URL is not one of rtmp://this-host/${application}`);
  const account = decodePercent(encodedAccount);
  const rest = decodePercent(behind.join("/"));
  if (account === null || rest === null) return wrong("the percent-encoding in the URL is broken");
  if (account === "") return wrong("the account is missing");
  if (rest.length > MAX_REST_LENGTH) return wrong("the name is too long");
  if (CONTROL.test(account) || CONTROL.test(rest)) return wrong("there are control characters in the name");
  return { type: "stream", account, rest, key: keyIn(query) ?? keyIn(connectQuery) };
}

function wrong(reason: string): AccountPath {
  return { type: "wrong", reason };
}

function keyIn(query: string): string | null {
  return parseQuery(query).get("key");
}
