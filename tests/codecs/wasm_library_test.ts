// Instances, handles and places, tried on a module written by hand: it allocates, grows, and traps on demand.
import assert from "node:assert/strict";
import { WireError } from "../../lib/base/errors.ts";
import { CodecHandle, CodecLibrary, type ModuleExports } from "../../lib/codecs/wasm_library.ts";
import { fromHex } from "../../lib/base/bytes.ts";

/**
 * (module (memory (export "memory") 1) (global $top (mut i32) (i32.const 16))
 *   (func (export "allocate") (param i32) (result i32) ;; the old top; top moves on
 *   (func (export "release") (param i32)) (func (export "grow") (drop (memory.grow (i32.const 1))))
 *   (func (export "trap") unreachable))
 */
const MODULE = new WebAssembly.Module(
  fromHex(
    "0061736d01000000" + // header
      "010d03" + "60017f017f" + "60017f00" + "600000" + // types
      "030504" + "00010202" + // functions
      "0503010001" + // one page, may grow
      "0606017f0141100b" + // global: top = 16
      "072d" + "05" + "066d656d6f72790200" + "08616c6c6f636174650000" + "0772656c656173650001" +
      "0467726f770002" + "04747261700003" + // exports
      "0a1c04" + "0b0023002300" + "20006a24000b" + "02000b" + "070041014000" + "1a0b" + "0300000b",
  ).slice(),
);

interface TestExports extends ModuleExports {
  grow(): void;
  trap(): void;
}

function library(isolated = false): CodecLibrary<TestExports> {
  return new CodecLibrary(MODULE, {
    file: "test",
    name: "test",
    inputOctets: 64,
    outputOctets: 64,
    isolated,
  });
}

const anyHandle = { open: () => 1, close: () => {} };

Deno.test("codecs share an instance unless they are isolated", () => {
  const shared = library();
  assert.equal(shared.instance(), shared.instance());
  const isolated = library(true);
  assert.notEqual(isolated.instance(), isolated.instance());
});

Deno.test("views are made again when the memory has grown", () => {
  const instance = library().instance();
  const { input, exports } = instance;
  input.octets.set([1, 2, 3, 4]);
  const before = input.firstSamples(2);
  assert.equal(input.firstSamples(2), before);
  exports.grow();
  assert.equal(before.length, 0);
  assert.deepEqual([...input.firstSamples(2)], [0x0201, 0x0403]);
  assert.deepEqual([...input.firstOctets(4)], [1, 2, 3, 4]);
  assert.deepEqual([...input.octets.subarray(0, 4)], [1, 2, 3, 4]);
  assert.equal(input.samples.length, 32);
});

Deno.test("a trap is the packet's fault and costs the instance", () => {
  const shared = library();
  let opened = 0;
  using handle = new CodecHandle(shared, { open: () => ++opened, close: () => {} });
  const first = handle.instance;
  assert.throws(() => {
    try {
      first.exports.trap();
    } catch (error) {
      throw handle.failed(error);
    }
  }, WireError);
  assert.notEqual(handle.instance, first);
  assert.equal(opened, 2);
  assert.equal(shared.instance(), handle.instance);
});

Deno.test("other errors stay what they are", () => {
  using handle = new CodecHandle(library(), anyHandle);
  const error = new RangeError("no");
  assert.equal(handle.failed(error), error);
});

Deno.test("a codec that cannot be opened is tried once more in a fresh instance", () => {
  const results = [0, 5];
  using handle = new CodecHandle(library(), { open: () => results.shift()!, close: () => {} });
  assert.equal(handle.handle, 5);
  assert.throws(
    () => new CodecHandle(library(), { open: () => 0, close: () => {} }),
    /test cannot be opened/,
  );
});

Deno.test("packets larger than the input place are refused", () => {
  using handle = new CodecHandle(library(), anyHandle);
  handle.putPacket(new Uint8Array(64));
  assert.throws(() => handle.putPacket(new Uint8Array(65)), WireError);
});

Deno.test("closing happens once", () => {
  let closed = 0;
  const handle = new CodecHandle(library(), { open: () => 1, close: () => closed++ });
  handle[Symbol.dispose]();
  handle[Symbol.dispose]();
  assert.equal(closed, 1);
});
