// What is secret in a text becomes "****" before anybody reads it: the log, the program's own complaints, and reasons
// that are told to peers. A secret is known by the name before it, in headers, parameters, fields, SDP and XML, or by
// its place in a URI. Texts of peers come here whole: each character is looked at a fixed number of times.
// Role: wire

const MASK = "****";

const LONGEST_NAME = 40;

/** A name with one of these in it, or at its end, is that of a secret, whatever stands around it. */
const SECRET_PARTS: readonly string[] = ["passw", "pasw", "passphrase", "passcode", "kennwort", "secret"];
const SECRET_ENDS: readonly string[] = [
  ...["pwd", "passwd", "token", "apikey", "api-key", "api_key", "streamkey", "stream-key", "stream_key"],
  ...["secretkey", "privatekey", "authkey", "accesskey", "passkey", "userpass"],
];

/** The last word of names that may mean something else in a sentence: "key=...", "streamKey": "...". */
const SECRET_WORDS: ReadonlySet<string> = new Set(
  ["key", "pass", "pw", "pin", "auth", "credential", "credentials", "signature", "sig", "jwt"],
);

const QUERY_NAMES: ReadonlySet<string> = new Set(
  ["sign", "hash", "hmac", "p", "k", "t", "sid", "session", "access", "wssecret", "txsecret"],
);

/** Headers and attributes that are secret to the end of the line. */
const SECRET_LINES: ReadonlySet<string> = new Set(["cookie", "set-cookie", "key-mgmt"]);

/** Replaces passwords, keys, tokens, credentials, digest responses and media keys by `****`. */
export function maskSecrets(text: string): string {
  return maskUserinfo(maskCredentials(maskNamed(text)));
}

/** A name before "=", ":" or ">". */
interface Name {
  readonly text: string;
  /** Its last word: "key" of "streamKey" and of "stream-key". */
  readonly lastWord: string;
  readonly start: number;
  readonly quoted: boolean;
}

/** What is not to be read, and what is written in its place. */
interface Secret {
  readonly from: number;
  readonly to: number;
  readonly mask: string;
}

function maskNamed(text: string): string {
  let masked = "";
  let copied = 0;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]!;
    if (sign !== "=" && sign !== ":" && sign !== ">") continue;
    const name = nameBefore(text, at);
    const secret = name === null ? null : secretBehind(text, at, name);
    if (secret === null || secret.from >= secret.to) continue;
    masked += text.slice(copied, secret.from) + secret.mask;
    copied = secret.to;
    at = secret.to - 1;
  }
  return masked + text.slice(copied);
}

/** The name that ends at `at`, with blanks or a quote between. */
function nameBefore(text: string, at: number): Name | null {
  let end = at;
  while (end > 0 && at - end < LONGEST_NAME && isBlank(text.charCodeAt(end - 1))) end--;
  const quoted = text[end - 1] === '"' || text[end - 1] === "'";
  if (quoted) end--;
  if (quoted && text[end - 1] === "\\") end--; // a text in a text
  let start = end;
  while (start > 0 && end - start < LONGEST_NAME && isNameSign(text.charCodeAt(start - 1))) start--;
  if (start === end) return null;
  const written = text.slice(start, end);
  return { text: written.toLowerCase(), lastWord: lastWordOf(written), start, quoted };
}

function lastWordOf(name: string): string {
  let start = name.length;
  while (start > 0) {
    const [before, here] = [name.charCodeAt(start - 1), name.charCodeAt(start)];
    if (before === 0x2d || before === 0x5f || isCapital(here) && !isCapital(before)) break; // - and _
    start--;
  }
  return name.slice(start).toLowerCase();
}

function secretBehind(text: string, at: number, name: Name): Secret | null {
  if (name.text.length === 1 && !QUERY_NAMES.has(name.text)) return null; // a text may be nothing but such names
  const sign = text[at]!;
  let from = at + 1;
  if (sign === ">") {
    return text[name.start - 1] === "<" && isSecret(name) ? plain(from, elementEnd(text, from)) : null;
  }
  while (from < text.length && isBlank(text.charCodeAt(from))) from++;
  if (name.text === "response") return sign === "=" ? digestResponse(text, from) : null;
  if (name.text.endsWith("authorization")) return authorization(text, from);
  if (SECRET_LINES.has(name.text)) return sign === ":" ? plain(from, lineEnd(text, from)) : null;
  if (name.text === "k" && sign === "=") {
    const method = /^(?:clear|base64|uri):/i.exec(text.slice(at + 1, at + 8)); // RFC 4566 5.12
    if (method !== null) return plain(at + 1 + method[0].length, lineEnd(text, from));
  }
  if (!isSecretHere(text, { sign, from }, name)) return null;
  const to = valueEnd(text, from);
  return isPlaceholder(text.slice(from, to), name) ? null : plain(from, to);
}

function isSecretHere(text: string, { sign, from }: { sign: string; from: number }, name: Name): boolean {
  if (isSecretName(name.text)) return true;
  if (name.text === "inline") return sign === ":"; // RFC 4568 9.1; a line may have several
  const before = text[name.start - 1];
  if (sign === "=" && QUERY_NAMES.has(name.text)) return before === "?" || before === "&";
  if (!SECRET_WORDS.has(name.lastWord)) return false;
  return sign === "=" || name.quoted || text[from] === '"' || text[from] === "'" ||
    text.startsWith('\\"', from);
}

/** In our own advice: "...?key=KEY" */
function isPlaceholder(value: string, name: Name): boolean {
  return value === "..." || value === name.text.toUpperCase();
}

function isSecret(name: Name): boolean {
  return isSecretName(name.text) || SECRET_WORDS.has(name.lastWord);
}

function isSecretName(name: string): boolean {
  return SECRET_PARTS.some((part) => name.includes(part)) || SECRET_ENDS.some((end) => name.endsWith(end));
}

function plain(from: number, to: number): Secret {
  return { from, to, mask: MASK };
}

/** RFC 7616 3.4: response="0123", also without quotes; in other places the word is none of ours. */
function digestResponse(text: string, from: number): Secret | null {
  const to = valueEnd(text, from);
  const secret = text[from] === '"' || to - from >= 16 && /^[0-9a-f]{16}/i.test(text.slice(from, from + 16));
  return secret ? { from, to, mask: `"${MASK}"` } : null;
}

/** RFC 7235 4.2: Basic, Bearer and whatever else there is; of Digest the parameters are looked at one by one. */
function authorization(text: string, from: number): Secret | null {
  if (text[from] === '"' || text[from] === "'") return plain(from, valueEnd(text, from));
  let end = from;
  while (end < text.length && end - from < LONGEST_NAME && isNameSign(text.charCodeAt(end))) end++;
  if (text[end] !== " " && text[end] !== "\t") return plain(from, lineEnd(text, from));
  if (text.slice(from, end).toLowerCase() === "digest") return null;
  return plain(end + 1, lineEnd(text, end));
}

/** Credentials that stand alone: "Bearer eyJh...", but not "Basic authentication". */
function maskCredentials(text: string): string {
  return text.replace(
    /\b(bearer|basic) ([\w.~+/-]{8,}={0,2})/gi,
    (all, scheme: string, token: string) => /[^a-z]/.test(token) ? `${scheme} ${MASK}` : all,
  );
}

/** Behind a value: a text in quotes of any kind, or what has no blank and no sign of the syntax around it. */
function valueEnd(text: string, from: number): number {
  const open = ['"""', "'''", '\\"', "\\'"].find((quote) => text.startsWith(quote, from));
  if (open !== undefined) {
    const close = text.indexOf(open, from + open.length);
    return close < 0 ? text.length : close + open.length;
  }
  const quote = text[from];
  let at = from;
  if (quote === '"' || quote === "'") {
    for (at++; at < text.length && text[at] !== quote; at++) {
      if (text[at] === "\r" || text[at] === "\n") return at;
      if (text[at] === "\\" && text[at + 1] !== "\r" && text[at + 1] !== "\n") at++;
    }
    return Math.min(at + 1, text.length);
  }
  while (at < text.length && !endsValue(text.charCodeAt(at))) at++;
  return at;
}

/** Blanks, control characters and , ; & } ] ) " ' < > | */
function endsValue(code: number): boolean {
  return code <= 0x20 || code === 0x2c || code === 0x3b || code === 0x26 || code === 0x7d || code === 0x5d ||
    code === 0x29 || code === 0x22 || code === 0x27 || code === 0x3c || code === 0x3e || code === 0x7c;
}

function elementEnd(text: string, from: number): number {
  const end = text.indexOf("<", from);
  return end < 0 ? text.length : end;
}

function lineEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== "\r" && text[at] !== "\n") at++;
  return at;
}

function isNameSign(code: number): boolean {
  return code >= 0x30 && code <= 0x39 || isCapital(code) || code >= 0x61 && code <= 0x7a || code === 0x2d ||
    code === 0x5f;
}

function isCapital(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code >= 9 && code <= 13 || code === 0xa0 || code === 0x2028 || code === 0x2029;
}

/** Userinfo of a URI or of an RTMP path: sip:user:secret@host, rtmp://user:secret@host, /sip/user:secret@host. */
function maskUserinfo(text: string): string {
  let masked = "";
  let copied = 0;
  let searched = 0;
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", searched)) {
    let start = at;
    while (start > searched && !endsUserinfo(text.charCodeAt(start - 1))) start--;
    searched = at + 1;
    const secret = start + passwordIndex(text.slice(start, at), followsScheme(text, start));
    if (secret < start || secret === at) continue;
    masked += text.slice(copied, secret) + MASK;
    copied = searched = endOfPassword(text, at);
  }
  return masked + text.slice(copied);
}

/** The last "@" of a password that has some itself: what follows one of them up to the next cannot be a host. */
function endOfPassword(text: string, at: number): number {
  let last = at;
  for (let i = at + 1; i < text.length && i - last < LONGEST_NAME && !endsHost(text.charCodeAt(i)); i++) {
    if (text[i] === "@") last = i;
  }
  return last;
}

/** Where the password of "user:password" or "...sip:user:password" begins; -1 when it has none. */
function passwordIndex(userinfo: string, whole: boolean): number {
  const user = (whole ? /^[^:?]+:/.exec(userinfo) : null) ?? /\bsips?:[^:?]+:/i.exec(userinfo);
  return user === null ? -1 : user.index + user[0].length;
}

/** Whether what stands before is "scheme://", "sip/" or "sips/". */
function followsScheme(text: string, at: number): boolean {
  return text[at - 1] === "/" && /(?:[a-z0-9+.-]:\/|sips?)\/$/i.test(text.slice(Math.max(0, at - 5), at));
}

/** What ends a password, and : ; ? & , \ ' besides. */
function endsHost(code: number): boolean {
  return endsUserinfo(code) || code === 0x3a || code === 0x3b || code === 0x3f || code === 0x26 ||
    code === 0x2c ||
    code === 0x5c || code === 0x27;
}

/** Blanks, control characters and " / < > */
function endsUserinfo(code: number): boolean {
  return code <= 0x20 || code === 0x22 || code === 0x2f || code === 0x3c || code === 0x3e;
}
