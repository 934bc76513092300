import assert from "node:assert/strict";
import { defaultSettings, settingDescriptions, tableSettings } from "../../lib/config/config_settings.ts";

Deno.test("every setting has a default, and one line of help unless it is a table", () => {
  const described = settingDescriptions.map((row) => row.name);
  assert.deepEqual([...described, ...tableSettings].sort(), Object.keys(defaultSettings).sort());
  for (const row of settingDescriptions) assert.match(row.text, /^\S.*\S$/);
});

Deno.test("siprtmp's letters are all there (behaviour 1.1)", () => {
  const letters = settingDescriptions.filter((row) => row.short !== null).map((row) => [row.short, row.name]);
  assert.deepEqual(Object.fromEntries(letters), {
    i: "host",
    p: "port",
    r: "root",
    l: "int-ip",
    e: "ext-ip",
    d: "verbose",
    D: "verbose-all",
  });
  assert.equal(defaultSettings.host, "0.0.0.0");
  assert.equal(defaultSettings.port, 1935);
  assert.equal(defaultSettings.root, "./");
  assert.equal(defaultSettings["int-ip"], "0.0.0.0");
  assert.equal(defaultSettings["ext-ip"], null);
});
