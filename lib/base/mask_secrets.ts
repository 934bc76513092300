// What is secret in a text becomes "****" before anybody reads it: the log and the program's own complaints.
// Texts of peers come here whole: each step looks at each character a fixed number of times.
// Role: wire

const MASK = "****";

/** Replaces passwords, digest responses and media keys by `****`, in headers, parameters, fields and URIs. */
export function maskSecrets(text: string): string {
  const masked = text
    // digest answers, RFC 7616 3.4: response="0123", also with white space and without quotes
    .replace(/\b(response\s*=\s*)("[^"\r\n]*"?|[0-9a-f]{16,})/gi, `$1"${MASK}"`)
    // Basic and Bearer credentials, should a peer send them
    .replace(/^((?:proxy-)?authorization\s*:\s*(?:basic|bearer)\s+)\S+/gim, `$1${MASK}`)
    // keys of secured media in a session description (RFC 4568 section 9.1), of which a line may have several
    .replace(/\b(inline:)[^\s|;]+/gi, `$1${MASK}`)
    // password=secret, "password": "secret", passwd: secret
    .replace(
      /(["']?\b(?:password|passwd|passphrase|secret)["']?\s*[=:]\s*)("(?:[^"\\\r\n]|\\[^\r\n])*"?|'(?:[^'\\\r\n]|\\[^\r\n])*'?|[^\t-\r ,;&}\])"']+)/gi,
      `$1${MASK}`,
    );
  return maskUserinfo(masked);
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
    copied = at;
  }
  return masked + text.slice(copied);
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

/** Blanks, control characters and " / < > */
function endsUserinfo(code: number): boolean {
  return code <= 0x20 || code === 0x22 || code === 0x2f || code === 0x3c || code === 0x3e;
}
