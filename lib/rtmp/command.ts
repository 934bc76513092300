// RTMP commands (RPCs, replies, status events) between AMF bodies and values, and the connect request.
// Adobe RTMP 1.0, sections 7.1.1 and 7.2. An AMF3 connection puts one byte 0 before the same AMF0 values and
// switches to AMF3 where it needs to.
// Role: wire

import { decodeReadableAmf0, writeAmf0 } from "../amf/amf0.ts";
import { maskSecrets } from "../base/mask_secrets.ts";
import { type AmfObject, type AmfValue, getProperty, numberOf, propertiesOf, textOf } from "../amf/value.ts";
import { ByteWriter } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { MESSAGE_TYPE } from "./message.ts";

/** A command as it is on the wire. */
export interface Command {
  /** Name of the procedure; `_result`, `_error` or `onStatus` for answers. */
  name: string;
  /** 0 when no answer is wanted. */
  transactionId: number;
  /** Properties of connect, null for nearly everything else. */
  object: AmfValue;
  /** What follows. */
  args: AmfValue[];
}

/** Longest command body that is decoded: real ones are under 20 KB, and this many of nothing but null take some ms. */
const MAX_COMMAND_BYTES = 256 * 1024;

/** Reads a message of type 20 or 17; what cannot be read behind its values is left out. Throws WireError. */
export function decodeCommand(type: number, body: Uint8Array): Command {
  if (body.length > MAX_COMMAND_BYTES) throw new WireError("RTMP command", `${body.length} bytes`);
  const [name, transactionId, object, ...args] = decodeReadableAmf0(withoutFormatByte(type, body));
  if (typeof name !== "string") throw new WireError("RTMP command", "it does not start with a name");
  return { name, transactionId: numberOf(transactionId), object: object ?? null, args };
}

/** The body of a message of type 20, or 17 when `amf3`. */
export function encodeCommand(command: Command, amf3: boolean): Uint8Array {
  const writer = new ByteWriter(256);
  if (amf3) writer.u8(0);
  writeAmf0(writer, [command.name, command.transactionId, command.object, ...command.args]);
  return writer.take();
}

/** Message type of commands on a connection of this encoding. */
export function commandType(amf3: boolean): number {
  return amf3 ? MESSAGE_TYPE.COMMAND_AMF3 : MESSAGE_TYPE.COMMAND;
}

/** Messages of types 15 and 17 start with one byte (0) that is not part of the AMF0 values. */
export function withoutFormatByte(type: number, body: Uint8Array): Uint8Array {
  const hasByte = type === MESSAGE_TYPE.COMMAND_AMF3 || type === MESSAGE_TYPE.DATA_AMF3;
  return hasByte && body[0] === 0 ? body.subarray(1) : body;
}

/** What a client says when it connects. */
export interface ConnectRequest {
  /** Application path of the URL, without query: "sip/alice@example.net". May be empty. */
  app: string;
  /** The URL as the client knows it. */
  tcUrl: string;
  /** What followed "?" in the application or, failing that, in the URL. */
  query: string;
  /** 0 for AMF0, 3 for AMF3. */
  objectEncoding: 0 | 3;
  /** Program and version of the client. */
  flashVer: string;
  /** Page that holds the client. */
  pageUrl: string;
  /** All properties, the above included. */
  properties: AmfObject;
  /** What the program gave to connect(): login, password... Never logged. */
  args: AmfValue[];
}

/** The encoding a connect command asks for; only 0 and 3 exist. */
export function connectEncoding(command: Command): number {
  return numberOf(getProperty(propertiesOf(command.object), "objectEncoding"));
}

/** Reads the connect command; {@linkcode connectEncoding} must have been found usable. Throws WireError. */
export function parseConnect(command: Command): ConnectRequest {
  const { object } = command;
  if (object === null || typeof object !== "object") throw new WireError("RTMP connect", "no properties");
  const properties = propertiesOf(object);
  const text = (name: string): string => textOf(getProperty(properties, name));
  const [app, query] = splitQuery(text("app"));
  const tcUrl = text("tcUrl");
  return {
    app,
    tcUrl,
    query: query !== "" ? query : splitQuery(tcUrl)[1],
    objectEncoding: connectEncoding(command) === 3 ? 3 : 0,
    flashVer: text("flashVer"),
    pageUrl: text("pageUrl"),
    properties,
    args: command.args,
  };
}

/** "name?a=b" as ["name", "a=b"]. */
export function splitQuery(text: string): [name: string, query: string] {
  const at = text.indexOf("?");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** The object of a status event (7.2.2); a description may quote what somebody wrote, so secrets in it are masked. */
export function createStatus(
  level: "status" | "error" | "warning",
  code: string,
  description: string,
  extra: AmfObject = {},
): AmfObject {
  return { level, code, description: maskSecrets(description), ...extra };
}
