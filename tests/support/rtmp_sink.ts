// A ByteStream that keeps what is put, for the machines of RTMP; and what was put, decoded.

import type { AmfValue } from "../../lib/amf/value.ts";
import { decodeAmf0 } from "../../lib/amf/amf0.ts";
import { concatBytes, fromHex } from "../../lib/base/bytes.ts";
import { silentLog } from "../../lib/base/log.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import type { ByteStream } from "../../lib/net/byte_stream.ts";
import { ChunkReader, DEFAULT_CHUNK_LIMITS } from "../../lib/rtmp/chunk_stream.ts";
import { decodeCommand } from "../../lib/rtmp/command.ts";
import { decodeControlValue, decodeUserControl } from "../../lib/rtmp/message.ts";
import { MessageLink } from "../../lib/rtmp/message_link.ts";
import type { FakeClock } from "./fake_clock.ts";
import { keep, type KeptMessage } from "./rtmp_bytes.ts";

/** Keeps what is put; `unsent` is set by the test. */
export class Sink implements ByteStream {
  readonly peer: Endpoint = { hostname: "127.0.0.1", port: 1 };
  readonly local: Endpoint = { hostname: "127.0.0.1", port: 1935 };
  unsent = 0;
  closed = false;
  readonly #reader: ChunkReader;
  #messages: KeptMessage[] = [];
  #parts: Uint8Array[] = [];

  constructor() {
    this.#reader = new ChunkReader(DEFAULT_CHUNK_LIMITS, {
      receive: (message) => {
        if (message.type === 1) this.#reader.setChunkSize(decodeControlValue(message.body));
        this.#messages.push(keep(message));
      },
    });
  }

  put(bytes: Uint8Array): boolean {
    this.#parts.push(bytes.slice());
    return true;
  }

  read(): Promise<number | null> {
    return Promise.resolve(null);
  }

  flush(): Promise<boolean> {
    return Promise.resolve(true);
  }

  close(): void {
    this.closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** All messages since the last call. */
  messages(): KeptMessage[] {
    this.#messages = [];
    this.#reader.push(concatBytes(this.#parts.splice(0)));
    return this.#messages;
  }

  /** As messages(), each as one readable line. */
  lines(): string[] {
    return this.messages().map(formatMessage);
  }
}

/** "command 1 onStatus 0 null {...}", "data 1 ...", "user 6 1000", "window 2500000", "audio 1 20 af01". */
export function formatMessage({ type, streamId, timestamp, body }: KeptMessage): string {
  const bytes = fromHex(body);
  switch (type) {
    case 1:
      return `chunk size ${decodeControlValue(bytes)}`;
    case 3:
      return `acknowledge ${decodeControlValue(bytes)}`;
    case 4: {
      const control = decodeUserControl(bytes);
      return `user ${control.event} ${control.value}`;
    }
    case 5:
      return `window ${decodeControlValue(bytes)}`;
    case 6:
      return `bandwidth ${decodeControlValue(bytes)}`;
    case 17:
    case 20: {
      const { name, transactionId, object, args } = decodeCommand(type, bytes);
      const values = [object, ...args].map((value) => plain(value)).join(" ");
      return `${type === 17 ? "command3" : "command"} ${streamId} ${name} ${transactionId} ${values}`;
    }
    case 18:
      return `data ${streamId} ${decodeAmf0(bytes).map((value) => plain(value)).join(" ")}`;
    default:
      return `${
        type === 8 ? "audio" : type === 9 ? "video" : `type ${type}`
      } ${streamId} ${timestamp} ${body}`;
  }
}

function plain(value: AmfValue): string {
  return value === undefined ? "undefined" : JSON.stringify(value);
}

/** A link into a sink, without anybody listening. */
export function sinkLink(clock: FakeClock): { sink: Sink; link: MessageLink } {
  const sink = new Sink();
  const options = {
    stream: sink,
    clock,
    log: silentLog,
    sink: { receive: () => {} },
    onUserControl: () => {},
  };
  return { sink, link: new MessageLink(options) };
}
