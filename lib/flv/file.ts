// FLV files on disk, read from start to end tag by tag; and, from their own files, recorded and played from
// any time on.
// Role: edge

import { FlvCursor } from "./inspect.ts";
import { DiskFile } from "./disk.ts";
import type { FlvTag } from "./tag.ts";

export { FlvSeekReader } from "./seek_reader.ts";
export { FlvWriter } from "./writer.ts";

export class FlvReader implements Disposable {
  /** True when the file ended inside a tag. */
  truncated = false;
  readonly #file: DiskFile;

  private constructor(file: DiskFile) {
    this.#file = file;
  }

  /** Opens a file. @throws TransportError when it cannot be read */
  static async open(path: string): Promise<FlvReader> {
    return new FlvReader(await DiskFile.open(path, "read"));
  }

  /**
   * The tags in file order; a body is valid until the next tag is asked for. Closes the file at its end.
   * @throws WireError when it is not an FLV file; TransportError when reading fails
   */
  async *tags(): AsyncGenerator<FlvTag, void, void> {
    using _file = this;
    const cursor = new FlvCursor(this.#file);
    do {
      for (let tag = cursor.next(); tag !== null; tag = cursor.next()) yield tag;
    } while (await cursor.fill());
    this.truncated = cursor.unfinished > 0;
  }

  /** Closes the file; harmless when it is closed. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
