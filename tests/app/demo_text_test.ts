import assert from "node:assert/strict";
import { demoAddresses } from "../../lib/app/demo_text.ts";
import { dialledByUrl, parseAppPath } from "../../lib/gateway/urls.ts";

const ADDRESSES = demoAddresses({ hostname: "0.0.0.0", port: 1936 }, { hostname: "127.0.0.1", port: 5062 });

Deno.test("the demo's own URL connects to loopback when the gateway listens everywhere", () => {
  assert.equal(ADDRESSES.url, "rtmp://127.0.0.1:1936/sip/demo@127.0.0.1:5062");
});

Deno.test("the URLs to paste are ones the gateway understands", () => {
  const pasted = [...ADDRESSES.text.matchAll(/"rtmp:\/\/[^/]+\/(sip\/[^?]+)\?([^/]+)\/(\w+)"/g)];
  assert.equal(pasted.length, 2);
  const numbers = pasted.map(([, app, query]) => {
    const path = parseAppPath(app!);
    assert.ok(path.type === "sip" && path.address.endsWith("@127.0.0.1:5062"), app);
    return dialledByUrl(query!)?.destination;
  });
  assert.deepEqual(numbers, ["tone", "echo"]);
});

Deno.test("IPv6 addresses are bracketed", () => {
  const { url } = demoAddresses({ hostname: "::1", port: 1935 }, { hostname: "::1", port: 5060 });
  assert.equal(url, "rtmp://[::1]:1935/sip/demo@[::1]:5060");
});
