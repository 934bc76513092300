import assert from "node:assert/strict";
import { setting, table, wholeNumber } from "../../lib/config/setting.ts";
import { accountKeys } from "../../lib/config/accounts.ts";
import { defaultText, formatKeysTable, formatSettingsTable } from "../../lib/config/settings_text.ts";
import { settings } from "../../lib/config/settings.ts";

Deno.test("defaults in words", () => {
  const rows: [row: Parameters<typeof defaultText>[0], text: string | null][] = [
    [settings.port, "1935"],
    [settings["rtp-ports"], "10000-20000"],
    [settings["ext-ip"], "local address of the route"],
    [settings["allowed-targets"], "none"],
    [settings.redirect, "true"],
    [settings["tls-cert"], null],
    [setting(wholeNumber(0, 9, "<n>"), { at: null, default: 0, absent: "off", help: "x" }), "0"],
    [setting(table({}, () => ({ type: "rules", rules: [] })), { at: null, default: [], help: "x" }), null],
  ];
  for (const [row, text] of rows) assert.equal(defaultText(row), text);
});

Deno.test("docs/configuration.md has the tables that the rows give (else: deno task docs:configuration)", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/configuration.md", import.meta.url));
  assert.ok(text.includes(formatSettingsTable()), "options");
  assert.ok(text.includes(formatKeysTable()), "accounts");
  for (const key of Object.keys(accountKeys)) {
    assert.ok(formatKeysTable().includes(`\`${key}\``), key);
  }
});
