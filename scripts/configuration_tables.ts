// `deno task docs:configuration`: puts the tables of settings and account keys into docs/configuration.md, between the
// comments that name them, and makes deploy/siprtmp.toml.
// Role: edge

import { formatExample } from "./configuration_example.ts";
import { accountKeys } from "../lib/config/accounts.ts";
import { settings } from "../lib/config/settings.ts";
import { dialKeys } from "../lib/config/dial_plan.ts";
import { formatKeysTable, formatSettingsTable } from "../lib/config/setting.ts";

const EXAMPLE = new URL("../deploy/siprtmp.toml", import.meta.url);
const FILE = new URL("../docs/configuration.md", import.meta.url);

/** The text with `table` between `<!-- name -->` and `<!-- end -->`. @throws Error when they are missing */
function putTable(text: string, name: string, table: string): string {
  const [start, end] = [`<!-- ${name} -->\n`, "\n<!-- end -->"];
  const from = text.indexOf(start);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`there is no <!-- ${name} --> ... <!-- end -->`);
  return `${text.slice(0, from + start.length)}\n${table}\n${text.slice(to)}`;
}

if (import.meta.main) {
  const text = await Deno.readTextFile(FILE);
  const withOptions = putTable(text, "options", formatSettingsTable(settings));
  const withDial = putTable(withOptions, "dial", formatKeysTable(dialKeys));
  await Deno.writeTextFile(FILE, putTable(withDial, "accounts", formatKeysTable(accountKeys)));
  await Deno.writeTextFile(EXAMPLE, formatExample());
}
