import assert from "node:assert/strict";
import fc from "fast-check";
import { joinStreamPath, MAX_STREAM_PATH_LENGTH } from "../../lib/rtmp/stream_path.ts";

Deno.test("wherever a URL is cut into app and name, it is one path", () => {
  const table: [app: string, name: string, path: string][] = [
    ["live", "cam", "live/cam"],
    ["live/", "cam", "live/cam"],
    ["/live", "cam", "live/cam"],
    ["live", "/cam", "live/cam"],
    ["live//", "//cam", "live/cam"],
    ["live", "room/cam", "live/room/cam"],
    ["live/room", "cam", "live/room/cam"],
    ["live//room", "cam/", "live/room/cam"],
    ["", "live/room/cam", "live/room/cam"],
    ["live/room/cam", "", "live/room/cam"],
    ["cam", "", "cam"],
    ["", "cam", "cam"],
    ["/", "/", ""],
    ["", "", ""],
    ["live/room", "rtmp://host/live/room/cam", "live/room/cam"],
    ["live", "rtmp://host:1935/live/cam", "live/cam"],
    ["", "RTMPS://host:443//live//cam", "live/cam"],
    ["live", "rtmpts://[::1]:8080/live/cam", "live/cam"],
    ["live", "rtmp://host", ""],
    ["rtmp://host/live", "cam", "live/cam"],
    ["live", "http://host/cam", "live/http:/host/cam"],
    ["live", "a%2Fb", "live/a%2Fb"],
    ["live", "a\u2028b", "live/a\u2028b"],
  ];
  for (const [app, name, path] of table) {
    assert.equal(joinStreamPath(app, name), path, JSON.stringify([app, name]));
  }
});

Deno.test("what is too long is no path, however long it is", () => {
  assert.equal(joinStreamPath("live", "/".repeat(MAX_STREAM_PATH_LENGTH)), null);
  assert.equal(joinStreamPath("/".repeat(2_000_000), ""), null);
});

Deno.test("a path cut anywhere is the same path", () => {
  const segments = fc.array(fc.stringMatching(/^[a-z0-9@.-]{1,8}$/), { minLength: 1, maxLength: 6 });
  fc.assert(fc.property(segments, fc.nat(6), (all, at) => {
    const [app, name] = [all.slice(0, at).join("/"), all.slice(at).join("/")];
    assert.equal(joinStreamPath(app, name), all.join("/"));
  }));
});
