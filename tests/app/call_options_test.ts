import assert from "node:assert/strict";
import { ConfigError } from "../../lib/base/errors.ts";
import { type CallOptions, readCallOptions, readSample } from "../../lib/app/call_options.ts";

const url = "rtmp://localhost:1935/sip/alice@localhost";

Deno.test("a call with nothing said sends ten seconds of the Speex sample", () => {
  const expected: CallOptions = {
    url,
    destination: "echo@localhost",
    source: { kind: "sample", codec: "speex", durationSeconds: 10 },
    record: null,
    login: null,
    password: "",
    displayName: null,
  };
  assert.deepEqual(readCallOptions(url, " echo@localhost ", {}), expected);
});

Deno.test("a call with everything said", () => {
  const values = {
    file: "in.flv",
    record: "out.flv",
    codec: "PCMU",
    duration: "2.5",
    login: "alice",
    password: "secret",
    name: "Alice",
  };
  assert.deepEqual(readCallOptions(url, "echo@localhost", values), {
    url,
    destination: "echo@localhost",
    source: { kind: "file", path: "in.flv", codec: "pcmu", durationSeconds: 2.5 },
    record: "out.flv",
    login: "alice",
    password: "secret",
    displayName: "Alice",
  });
});

Deno.test("a file is sent to its end with its own codec unless told otherwise", () => {
  assert.deepEqual(readCallOptions(url, "echo@localhost", { file: "in.flv" }).source, {
    kind: "file",
    path: "in.flv",
    codec: null,
    durationSeconds: null,
  });
});

Deno.test("what cannot be called is refused in words", () => {
  const table: [url: string, address: string, values: Record<string, unknown>, message: RegExp][] = [
    ["http://localhost/sip/a@b", "echo@b", {}, /URL must look like rtmp:/],
    ["rtmp://localhost", "echo@b", {}, /URL must look like/],
    ["rtmp:///sip/a@b", "echo@b", {}, /URL must look like/],
    ["alice", "echo@b", {}, /URL must look like .* not "alice"/],
    [url, " ", {}, /SIP address must look like/],
    [url, "echo@b\r\nX: y", {}, /SIP address must look like/],
    [url, "echo@b", { codec: "opus" }, /--codec must be one of speex, narrowband, pcmu, pcma, not "opus"/],
    [url, "echo@b", { duration: "0" }, /--duration must be/],
    [url, "echo@b", { duration: "-1" }, /--duration must be/],
    [url, "echo@b", { duration: "1e3" }, /--duration must be/],
    [url, "echo@b", { duration: "86401" }, /--duration must be/],
    [url, "echo@b", { duration: "ten", file: "x" }, /--duration must be .*not "ten"/],
  ];
  for (const [at, address, values, message] of table) {
    assert.throws(() => readCallOptions(at, address, values), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("the sample of the demo", () => {
  assert.deepEqual(readSample({}), { codec: "speex", durationSeconds: 10 });
  assert.deepEqual(readSample({ codec: "narrowband", duration: "3" }), {
    codec: "narrowband",
    durationSeconds: 3,
  });
});
