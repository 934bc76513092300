// Puts packets back in order: the jitter buffer of a pass-through gateway. What is handed on has strictly rising sequence numbers.
// Role: machine

/** Longest wait unless told otherwise. */
const DEFAULT_REORDER_MS = 60;
/** Longest wait that can be asked for. */
const MAX_REORDER_MS = 200;
/** How far ahead of the next packet another may be kept. */
const REORDER_WINDOW = 64;

/** A packet on its way through the buffer; the object and its payload are reused. */
export interface OrderedPacket {
  /** Sequence number without wrap. */
  sequence: number;
  /** Timestamp without wrap. */
  timestamp: number;
  marker: boolean;
  /** 0..127. */
  payloadType: number;
  /** Borrowed: valid until push() or the outlet returns. */
  payload: Uint8Array;
}

/** Where packets go in order; `lostBefore` packets are missing right before this one. */
type OrderedOutlet = (packet: OrderedPacket, lostBefore: number) => void;

interface ReorderOptions {
  /** Longest wait for a missing packet, 0..200, 60 unless given. */
  readonly maxWaitMs?: number;
  readonly deliver: OrderedOutlet;
}

class Slot implements OrderedPacket {
  sequence = 0;
  timestamp = 0;
  marker = false;
  payloadType = 0;
  payload = NO_BYTES;
  arrivedMs = 0;
  #storage = NO_BYTES;

  keep(packet: OrderedPacket, nowMs: number): void {
    const { length } = packet.payload;
    if (this.#storage.length < length) this.#storage = new Uint8Array(Math.max(256, length));
    this.#storage.set(packet.payload);
    this.payload = this.#storage.subarray(0, length);
    this.sequence = packet.sequence;
    this.timestamp = packet.timestamp;
    this.marker = packet.marker;
    this.payloadType = packet.payloadType;
    this.arrivedMs = nowMs;
  }
}

const NO_BYTES = new Uint8Array(0);
const NO_SLOTS: (Slot | null)[] = [];
/** Slots whose packet went on, for the next loss in any call of this thread: single packets are lost again and again. */
const spareSlots: Slot[] = [];
const MAX_SPARE_SLOTS = 64;

/**
 * Keeps the order of one stream. A packet in order goes on at once and is never copied; behind a gap packets wait, copied,
 * until it is filled or the first of them has waited maxWaitMs; then the gap is given up and counted.
 *
 *     in order -> (gap) -> waiting -> (filled | waited long enough | window full) -> in order
 */
export class ReorderBuffer {
  lost = 0;
  /** Packets that came after they were given up, or before the first one. */
  late = 0;
  duplicates = 0;
  readonly #deliver: OrderedOutlet;
  readonly #maxWaitMs: number;
  /** Packets that wait, at their sequence number modulo the window. Made when first needed: loss is rare. */
  #slots: (Slot | null)[] = NO_SLOTS;
  /** Which of the last 64 numbers were delivered, which tells duplicates from late packets: bit 0 is `#next - 1`. */
  #delivered = 0;
  #deliveredBefore = 0;
  #next = NaN;
  #held = 0;
  #oldestMs = Infinity;

  /** Starts empty; the first packet is in order. */
  constructor(options: ReorderOptions) {
    this.#deliver = options.deliver;
    this.#maxWaitMs = Math.min(MAX_REORDER_MS, Math.max(0, options.maxWaitMs ?? DEFAULT_REORDER_MS));
  }

  get held(): number {
    return this.#held;
  }

  /** Places for packets that are in memory; none while nothing waits. */
  get slots(): number {
    return this.#slots.length;
  }

  /**
   * Takes a packet; it and what was waiting for it may be delivered before this returns. Gives nothing up for its
   * age: when this program itself was late, the missing packet may be the next one to be read.
   */
  push(packet: OrderedPacket, nowMs: number): void {
    const { sequence } = packet;
    if (Number.isNaN(this.#next)) this.#next = sequence;
    if (sequence < this.#next) {
      if (this.#wasDelivered(sequence)) this.duplicates++;
      else this.late++;
      return;
    }
    if (this.#held > 0 && this.#slots[indexOf(sequence)]?.sequence === sequence) {
      return void this.duplicates++;
    }
    while (sequence >= this.#next + REORDER_WINDOW && this.#held > 0) this.#skipToHeld();
    if (sequence === this.#next || sequence >= this.#next + REORDER_WINDOW) {
      this.#deliverAt(packet);
      this.#deliverRun();
    } else this.#keep(packet, nowMs);
  }

  /**
   * The usual case: true when this number is the next one and nobody waits. Its packet is then delivered, by the caller
   * and not through the outlet. False: push() it.
   */
  passes(sequence: number): boolean {
    if (sequence !== this.#next || this.#held > 0) return false;
    this.#note(1);
    this.#next = sequence + 1;
    return true;
  }

  /** Gives up the gaps for which somebody has waited long enough. Called by a shared ticker. */
  flush(nowMs: number): void {
    while (this.#held > 0 && nowMs - this.#oldestMs >= this.#maxWaitMs) {
      // What had waited longest may have gone on since: look again before giving anything up.
      this.#findOldest();
      if (nowMs - this.#oldestMs < this.#maxWaitMs) return;
      this.#skipToHeld();
    }
  }

  /** Delivers all that waits, in order: the source has ended. */
  drain(): void {
    while (this.#held > 0) this.#skipToHeld();
  }

  #keep(packet: OrderedPacket, nowMs: number): void {
    const index = indexOf(packet.sequence);
    const slot = spareSlots.pop() ?? new Slot();
    slot.keep(packet, nowMs);
    if (this.#slots.length === 0) this.#slots = new Array<Slot | null>(REORDER_WINDOW).fill(null);
    this.#slots[index] = slot;
    if (this.#held === 0 || nowMs < this.#oldestMs) this.#oldestMs = nowMs;
    this.#held++;
    if (this.#maxWaitMs === 0) this.flush(nowMs);
  }

  /** Gives up the gap before the first packet that waits, and delivers from there. */
  #skipToHeld(): void {
    for (let sequence = this.#next;; sequence++) {
      const slot = this.#slots[indexOf(sequence)];
      if (slot?.sequence !== sequence) continue;
      this.#release(slot);
      return this.#deliverRun();
    }
  }

  /** Delivers what waits without a gap. */
  #deliverRun(): void {
    while (this.#held > 0) {
      const slot = this.#slots[indexOf(this.#next)];
      if (slot?.sequence !== this.#next) return;
      this.#release(slot);
    }
  }

  #release(slot: Slot): void {
    this.#slots[indexOf(slot.sequence)] = null;
    if (--this.#held === 0) this.#slots = NO_SLOTS;
    this.#deliverAt(slot);
    if (spareSlots.length < MAX_SPARE_SLOTS) spareSlots.push(slot);
  }

  #deliverAt(packet: OrderedPacket): void {
    const lostBefore = packet.sequence - this.#next;
    this.lost += lostBefore;
    this.#note(lostBefore + 1);
    this.#next = packet.sequence + 1;
    this.#deliver(packet, lostBefore);
  }

  #note(count: number): void {
    if (count >= 32) {
      this.#deliveredBefore = count < 64 ? this.#delivered << count - 32 : 0;
      this.#delivered = 1;
    } else {
      this.#deliveredBefore = this.#deliveredBefore << count | this.#delivered >>> 32 - count;
      this.#delivered = this.#delivered << count | 1;
    }
  }

  #wasDelivered(sequence: number): boolean {
    const age = this.#next - 1 - sequence;
    if (age >= 64) return false;
    return (age < 32 ? this.#delivered >>> age : this.#deliveredBefore >>> age - 32) % 2 === 1;
  }

  #findOldest(): void {
    this.#oldestMs = Infinity;
    for (let index = 0; index < REORDER_WINDOW && this.#held > 0; index++) {
      const slot = this.#slots[index];
      if (slot && slot.arrivedMs < this.#oldestMs) this.#oldestMs = slot.arrivedMs;
    }
  }
}

/** The window is a power of two: also right for numbers below zero, which reordering before the first packet gives. */
function indexOf(sequence: number): number {
  return sequence & REORDER_WINDOW - 1;
}
