// What a call sounds like, for every pairing of what RTMP clients send and SIP phones speak: a tone of 1004 Hz and
// speech go through a running gateway to a phone that decodes and encodes them, and come back the same way.
// `deno task quality` prints the table; with --write it also replaces the one in docs/quality.md; a word picks the
// pairings whose names hold it. Exits 1 when a sound is more than 1 dB off, or anything clicked or was missing.
// Role: edge

import { systemClock } from "../lib/base/clock.ts";
import { silentLog } from "../lib/base/log.ts";
import { systemRandom } from "../lib/base/random.ts";
import type { Codecs } from "../lib/codecs/codecs.ts";
import { loadCodecs } from "../lib/codecs/load.ts";
import { buildConfig } from "../lib/config/config.ts";
import { Gateway } from "../lib/gateway/gateway.ts";
import { systemDns } from "../lib/net/dns.ts";
import { denoSockets } from "../lib/net/sockets.ts";
import {
  callAndListen,
  type ClientKind,
  CLIENTS,
  decodeHeard,
  type Heard,
  prepareSpeech,
  SCHEDULE,
  type Speech,
  spokenSamples,
  TONE_AMPLITUDE,
  TONE_HZ,
} from "./quality/caller.ts";
import { type PeerKind, PEERS, Phones } from "./quality/phones.ts";
import { atRate, measureSpeech, measureTone } from "./quality/measure.ts";
import { StallWatch } from "./quality/stall_watch.ts";
import { formatTable, isGood, replaceTable, type Row } from "./quality/table.ts";

/** Calls at a time: more would measure the machine. */
const AT_ONCE = 3;
/** What was measured while the process was held up for longer says nothing, and is measured again, so often. */
const MAX_STALL_MS = 50;
const MAX_REPEATS = 3;
const LONGEST_DELAY_MS = 700;
const COMPARED_RATE = 8000;
const DOCUMENT = new URL("../docs/quality.md", import.meta.url);

interface Pairing {
  readonly client: ClientKind;
  readonly peer: PeerKind;
}

async function main(args: readonly string[]): Promise<number> {
  const codecs = await loadCodecs();
  if (codecs.missing.length > 0) {
    await say(Deno.stderr, `missing: ${codecs.missing.join(", ")}; deno task codecs builds them`);
    return 1;
  }
  const words = args.filter((arg) => !arg.startsWith("--"));
  const pairings = CLIENTS.flatMap((client) => PEERS.map((peer): Pairing => ({ client, peer })))
    .filter(({ client, peer }) => words.every((word) => `${client.name} - ${peer.name}`.includes(word)));
  const rows = await measureAll(pairings, codecs);
  const table = formatTable(rows);
  await say(Deno.stdout, table);
  if (args.includes("--write")) {
    await Deno.writeTextFile(DOCUMENT, replaceTable(await Deno.readTextFile(DOCUMENT), table));
  }
  return rows.every(isGood) ? 0 : 1;
}

async function measureAll(pairings: readonly Pairing[], codecs: Codecs): Promise<Row[]> {
  const environment = {
    clock: systemClock,
    log: silentLog,
    random: systemRandom,
    dns: systemDns,
    codecs,
    sockets: denoSockets,
  };
  const config = buildConfig({
    flags: { host: "127.0.0.1", port: "0", "int-ip": "127.0.0.1", "sip-port": "0" },
  });
  await using gateway = await Gateway.start(config, environment);
  await using phones = Phones.open(environment);
  using watch = new StallWatch(systemClock);
  const speeches = new Map<ClientKind, Speech>();
  for (const { client } of pairings) {
    if (!speeches.has(client)) speeches.set(client, prepareSpeech(client, codecs));
  }
  let calls = 0;
  const call = ({ client, peer }: Pairing): Promise<Heard> => {
    const url = `rtmp://127.0.0.1:${gateway.rtmp.port}/sip/caller${calls++}@127.0.0.1`;
    const destination = `sip:${peer.user}@127.0.0.1:${phones.port}`;
    return callAndListen({ url, destination, kind: client, speech: speeches.get(client)! }, environment);
  };
  const rows: Row[] = [];
  for (let repeats = 0; rows.length < pairings.length;) {
    watch.reset();
    const batch = pairings.slice(rows.length, rows.length + AT_ONCE);
    const heard = await Promise.all(batch.map(call)); // measured when all are over: that takes time of its own
    const worstMs = watch.worstMs;
    const measured = batch.map((pairing, i) => measure(pairing, heard[i]!, codecs));
    const stall = `the machine held the process up for ${worstMs.toFixed(0)} ms`;
    if (worstMs > MAX_STALL_MS && !measured.every(isGood) && repeats++ < MAX_REPEATS) {
      await say(Deno.stderr, `${stall}: once more`);
      continue;
    }
    rows.push(...measured);
    await say(Deno.stderr, `${rows.length} of ${pairings.length}; ${stall}`);
  }
  return rows;
}

async function say(to: { write(bytes: Uint8Array): Promise<number> }, line: string): Promise<void> {
  await to.write(new TextEncoder().encode(`${line}\n`));
}

function measure({ client, peer }: Pairing, heard: Heard, codecs: Codecs): Row {
  const { samples, sampleRate } = decodeHeard(heard, codecs);
  const slow = atRate(samples, sampleRate, COMPARED_RATE);
  const { speechAt, speechFor, toneAt, toneFor } = SCHEDULE;
  const said = spokenSamples(COMPARED_RATE).subarray(speechAt * 8, (speechAt + speechFor) * 8);
  const speech = measureSpeech(said, slow.subarray(speechAt * 8), COMPARED_RATE, LONGEST_DELAY_MS);
  const perMs = sampleRate / 1000;
  const inner = [toneAt + speech.delayMs + 200, toneAt + toneFor + speech.delayMs - 100];
  const tone = measureTone(
    samples.subarray(Math.round(inner[0]! * perMs), Math.round(inner[1]! * perMs)),
    TONE_HZ,
    sampleRate,
    TONE_AMPLITUDE,
  );
  return { client: client.name, peer: peer.name, accepted: heard.accepted.split(",")[0]!, tone, speech };
}

if (import.meta.main) Deno.exit(await main(Deno.args));
