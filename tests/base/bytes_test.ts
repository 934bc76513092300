
Deno.test("a single byte that makes the buffer grow is not lost", () => {
  const writer = new ByteWriter(1);
  for (const byte of [1, 2, 3, 4, 5]) writer.u8(byte);
  assert.deepEqual([...writer.take()], [1, 2, 3, 4, 5]);
});
