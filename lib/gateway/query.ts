// What follows the question mark in URLs of RTMP: keys, tokens, whom to dial.
// Role: wire

/** Longest query that is read; what it may hold is bounded to a few hundred characters each. */
const MAX_QUERY_LENGTH = 4096;

/** Its parameters, none of a longer one; a plus sign is one, not a space as in web forms: passwords and numbers have them. */
export function parseQuery(query: string): URLSearchParams {
  return new URLSearchParams(query.length > MAX_QUERY_LENGTH ? "" : query.replaceAll("+", "%2B"));
}
