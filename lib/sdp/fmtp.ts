// Parameters of a format (a=fmtp, RFC 8866 6.15): "name=value;name=value" and the bare lists that
// telephone-event ("0-15", RFC 4733 2.4.1) and red ("101/101", RFC 2198 5) use instead.
// Role: wire

/** Longest parameter list that is taken apart; the rest is left unread. */
const MAX_FMTP_PARAMETERS = 64;

/** Parameters in the order written; names in lower case, a parameter without "=" has the value "". */
type FmtpParameters = ReadonlyMap<string, string>;

/** Takes "a=b; c=d" apart; null and empty text give no parameters. The first of equal names counts. */
export function parseFmtp(text: string | null): FmtpParameters {
  const parameters = new Map<string, string>();
  for (const part of (text ?? "").split(";", MAX_FMTP_PARAMETERS)) {
    const equals = part.indexOf("=");
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    if (name === "" || parameters.has(name)) continue;
    parameters.set(name, equals < 0 ? "" : part.slice(equals + 1).trim());
  }
  return parameters;
}

/** Puts parameters together as "a=b;c=d"; a value of "" gives the name alone. */
export function formatFmtp(parameters: FmtpParameters): string {
  const parts: string[] = [];
  for (const [name, value] of parameters) parts.push(value === "" ? name : `${name}=${value}`);
  return parts.join(";");
}

/**
 * The event codes a telephone-event format names ("0-15,66"); null means the parameter was left out, which
 * stands for 0-15 (RFC 4733 2.4.1). Codes above 255 and broken elements are passed over.
 */
export function parseEventCodes(fmtp: string | null): ReadonlySet<number> {
  const codes = new Set<number>();
  const list = fmtp?.trim().replace(/^events=/i, "") || "0-15";
  for (const element of list.split(",", 256)) {
    const match = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(element.trim());
    if (match === null) continue;
    const first = Number(match[1]);
    const last = Math.min(255, Number(match[2] ?? first));
    for (let code = first; code <= last; code++) codes.add(code);
  }
  return codes;
}

/** Whether parameters can only be those of DTMF, as phones write them that leave out the a=rtpmap. */
export function isEventList(fmtp: string | null): boolean {
  const list = fmtp?.split(",", 32) ?? [];
  return (list[0] === "0-15" || list[0] === "0-16" || list[0] === "0-11") &&
    list.every((element) => /^\d{1,3}(?:-\d{1,3})?$/.test(element.trim()));
}

/** The payload types a red format carries, primary first ("101/101"); empty when it names none. */
export function parseRedPayloadTypes(fmtp: string | null): number[] {
  const types: number[] = [];
  for (const element of (fmtp ?? "").split("/", 32)) {
    const text = element.trim();
    if (/^\d{1,3}$/.test(text) && Number(text) <= 127) types.push(Number(text));
  }
  return types;
}
