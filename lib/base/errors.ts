// The few error names of the project, after architecture.md 3.9.
// A broken peer is a WireError or a TransportError; an unusable option is a ConfigError; everything else
// that is thrown is our own bug. Expected outcomes (busy, 401, cancel) are values, never errors.
// Role: wire

/** Bytes or text of a peer that break a format or exceed a limit. */
export class WireError extends Error {
  /** The format that was broken, e.g. "RTMP chunk" or "SDP". */
  readonly protocol: string;
  /** Where it was noticed, in bytes (text: characters) from the start; undefined when that says nothing. */
  readonly offset: number | undefined;

  /** Puts the protocol before the message. @param message what is wrong, without the protocol: it becomes "Cannot decode PROTOCOL: MESSAGE" */
  constructor(protocol: string, message: string, offset?: number) {
    super(`Cannot decode ${protocol}: ${message}${offset === undefined ? "" : ` (at byte ${offset})`}`);
    this.name = "WireError";
    this.protocol = protocol;
    this.offset = offset;
  }
}

/** What `read` makes of a peer's bytes or text; null when it throws WireError, for what can be done without. */
export function nullIfMalformed<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

/** Why a socket operation failed, as far as anybody must tell the cases apart. */
export type TransportErrorCode = "addr-in-use" | "refused" | "unreachable" | "timeout" | "closed" | "failed";

export class TransportError extends Error {
  readonly code: TransportErrorCode;

  /** Keeps the cause. @param options `cause` is the runtime's own error */
  constructor(message: string, code: TransportErrorCode, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = "TransportError";
    this.code = code;
  }
}

/** An option or configuration file that cannot be used; the message is for the person who wrote it. */
export class ConfigError extends Error {
  /** For the person at the command line. @param message one plain line: which option, what is wrong, what would be right */
  constructor(message: string) {
    super(message);
    this.name = "ConfigError";
  }
}

/** Marks the end of an exhaustive switch: the compiler proves it is never reached. */
export function unreachable(value: never): never {
  throw new Error(`Unexpected value: ${String(value)}`);
}

/** What went wrong as one plain line without a stack, whatever was thrown. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  if (!/[\r\n]/.test(text)) return text.trim();
  return text.split(/[\r\n]+/).map((line) => line.trim()).filter((line) => line !== "").join(" ");
}
