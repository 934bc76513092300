// deploy/siprtmp.toml: every setting and account key, commented out, with its help and an example; made from the settings by
// `deno task docs:configuration`.
// Role: wire

import { accountKeys } from "../lib/config/accounts.ts";
import { dialKeys } from "../lib/config/dial_plan.ts";
import { defaultText, type Rows, type Setting } from "../lib/config/setting.ts";
import { settings } from "../lib/config/settings.ts";

/** A secret that all the world can read is none: what stands for one is refused until somebody writes their own. */
const EMPTY = '""';

/** What stands there for settings whose default is nothing that can be written. */
const EXAMPLES: Readonly<Record<string, string>> = {
  "rtmps-port": "443",
  "rtmpt-port": "80",
  "rtmpts-port": "8443",
  "tls-cert": '"/etc/siprtmp/cert.pem"',
  "tls-key": '"/etc/siprtmp/key.pem"',
  "ext-ip": '"auto"',
  "stun-server": '"stun.example.com:3478"',
  "sip-port": "5060",
  "outbound-proxy": '"sip:proxy.example.com"',
  "sipd": '"127.0.0.1:5070"',
  "rtp-ports": '"10000-20000"',
  "rtmp-users": '"/etc/siprtmp/users"',
  "rtmp-token": EMPTY,
  "allowed-domains": '"sip.example.com"',
  "allowed-dials": '"00.*, 1.."',
  "allowed-targets": '"10.0.0.0/8"',
  "keep-alive": '"crlf"',
};

const KEY_EXAMPLES: Readonly<Record<string, string>> = {
  name: '"desk"',
  address: '"desk@sip.example.com"',
  "display-name": '"Front desk"',
  username: '"desk"',
  password: EMPTY,
  registrar: '"sip:sip.example.com"',
  proxy: '"sip:proxy.example.com"',
  transport: '"tcp"',
  register: "true",
  codecs: '["opus", "pcmu"]',
  key: EMPTY,
  "on-busy": '"replace"',
  "from-user": '"desk"',
  headers: '{ "X-Tenant" = "7" }',
  redirect: "true",
  "same-address": '"replace"',
  "publish-calls": "false",
  pattern: '"00(.*)"',
  target: '"sip:+$1@trunk.example.com"',
};

const WIDTH = 100;

export function formatExample(): string {
  const own = Object.entries(settings).filter(([, { keys }]) => keys === undefined);
  const groups = [...new Set(own.map(([, { group }]) => group))];
  const parts = groups.map((group) => {
    const rows = own.filter(([, row]) => row.group === group).map(([name, row]) =>
      formatRow(name, row, EXAMPLES)
    );
    return [heading(group ?? "Other"), ...rows].join("\n");
  });
  return [
    "# /etc/siprtmp/siprtmp.toml: settings. Each line is a default or an example.\n" +
    "# siprtmp start --config FILE; a restart applies changes; SIGHUP: certificate, key, users.\n",
    ...parts,
    heading("Dial plan: what is dialled, and where it goes. The first pattern that fits counts."),
    formatTable("dial", dialKeys),
    heading("Accounts: SIP users that siprtmp itself is."),
    formatTable("account", accountKeys),
  ].join("\n");
}

function heading(text: string): string {
  return `# --- ${text} ${"-".repeat(Math.max(3, WIDTH - text.length - 7))}\n`;
}

function formatTable(name: string, rows: Rows): string {
  const keys = Object.entries(rows).map(([key, row]) => formatRow(key, row, KEY_EXAMPLES));
  return [`# [[${name}]]\n`, ...keys].join("\n");
}

function formatRow(name: string, row: Setting, examples: Readonly<Record<string, string>>): string {
  const without = row.required ? "required" : `default: ${plain(defaultText(row) ?? "none")}`;
  return `${comment(`${plain(row.help)} (${without})`)}\n# ${name} = ${
    examples[name] ?? JSON.stringify(row.default)
  }\n`;
}

function plain(text: string): string {
  return text.replaceAll("`", "");
}

function comment(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line.length + word.length + 3 > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.map((line) => `# ${line}`).join("\n");
}
