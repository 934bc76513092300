// Bytes that wait in order: copied in at the end, taken out at the front. Grows as needed and gives memory of
// a burst back when it is empty; whoever pushes looks at the length first and keeps the bound.
// Role: machine

const INITIAL = 4 * 1024;
const KEPT = 64 * 1024;

/** A first-in first-out queue of bytes. */
export class ByteQueue {
  #buffer = new Uint8Array(0);
  #start = 0;
  #end = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Copies `bytes` to the end. */
  push(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#buffer.length) this.#makeRoom(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** Moves up to `into.length` bytes from the front; says how many. */
  shiftInto(into: Uint8Array): number {
    const count = Math.min(this.length, into.length);
    into.set(this.#buffer.subarray(this.#start, this.#start + count));
    this.#start += count;
    if (this.#start === this.#end) this.clear();
    return count;
  }

  clear(): void {
    this.#start = 0;
    this.#end = 0;
    if (this.#buffer.length > KEPT) this.#buffer = new Uint8Array(0);
  }

  #makeRoom(more: number): void {
    const waiting = this.#buffer.subarray(this.#start, this.#end);
    const needed = waiting.length + more;
    if (needed <= this.#buffer.length / 2) this.#buffer.copyWithin(0, this.#start, this.#end);
    else {
      const larger = new Uint8Array(Math.max(INITIAL, 2 * needed));
      larger.set(waiting);
      this.#buffer = larger;
    }
    this.#end -= this.#start;
    this.#start = 0;
  }
}
