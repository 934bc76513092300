// Who an RTMP client is on the SIP side: its path and the connect arguments login, password, display name, rate.
// Role: wire

import type { AmfValue } from "../amf/value.ts";
import { WireError } from "../base/errors.ts";
import type { Identity } from "../sip/ua/endpoint.ts";
import { parseSipUri } from "../sip/message/uri.ts";

/** Default audio when the client gives no codec list. */
export type SpeexRate = "wideband" | "narrowband";

/** An identity to register and call with, or why the client is rejected. */
export type ClientIdentity =
  | { type: "accepted"; identity: Identity; rate: SpeexRate }
  | { type: "rejected"; reason: string };

const MAX_ARGUMENT_LENGTH = 256;

/**
 * Reads the address of the path and the positional connect arguments; never throws.
 * @param askedBy IP address of the client
 */
export function identityOf(address: string, args: readonly AmfValue[], askedBy?: string): ClientIdentity {
  const [login, password, displayName, rate] = args;
  const texts = [login, password, displayName, rate];
  if (texts.some((value) => typeof value === "string" && value.length > MAX_ARGUMENT_LENGTH)) {
    return { type: "rejected", reason: "a connect argument is too long" };
  }
  try {
    const aor = parseSipUri(`sip:${address}`);
    if (address.startsWith("@")) throw new WireError("SIP", "no user before @");
    const identity: Identity = {
      aor,
      displayName: textOf(displayName),
      username: textOf(login) ?? aor.user,
      password: textOf(password),
      ...(askedBy !== undefined && { askedBy }),
      md5WithoutQop: true, // as siprtmp's clients expect it of their own registrar
    };
    return { type: "accepted", identity, rate: rate === "narrowband" ? "narrowband" : "wideband" };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { type: "rejected", reason: `"${address}" is not a SIP address: ${error.message}` };
  }
}

/** Numbers happen: a program that builds its arguments from text may send 1001 for "1001". */
function textOf(value: AmfValue | undefined): string | null {
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  return typeof value === "string" && value !== "" ? value : null;
}
