// Real sockets on loopback: three ways in, one entrance, and files that are read again.

import assert from "node:assert/strict";
import { createSelfSigned, type SelfSigned } from "../../scripts/self_signed.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { ConfigError, TransportError } from "../../lib/base/errors.ts";
import { silentLog } from "../../lib/base/log.ts";
import { seededRandom, systemRandom } from "../../lib/base/random.ts";
import { Scope } from "../../lib/base/scope.ts";
import type { SettingName } from "../../lib/config/settings.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { formatUser, hashPassword } from "../../lib/gateway/access/users_file.ts";
import {
  firstStream,
  isToldLater,
  type ListenerAddresses,
  openTlsFiles,
  reloadTlsFiles,
  RtmpListeners,
} from "../../lib/gateway/listeners.ts";
import { type AppPath, parseAppPath } from "../../lib/gateway/urls.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import type { ByteStream } from "../../lib/net/byte_stream.ts";
import { connectTcp, TcpConnection } from "../../lib/net/tcp.ts";
import { RtmpClient, RtmpRefused } from "../../lib/rtmp/client.ts";
import type { ConnectRequest } from "../../lib/rtmp/command.ts";
import type { RtmpConnection } from "../../lib/rtmp/connection.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { inFolder } from "../support/live_flv.ts";
import { RecordLog } from "../support/record_log.ts";
import { HttpTestClient } from "../support/rtmpt_client.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

const CLIENT = { clock: systemClock, log: new RecordLog(), random: seededRandom(1) };
const PAIR = await createSelfSigned();
const OTHER = await createSelfSigned();

/** A gateway that only says welcome, on a door of its own. */
class Bench implements AsyncDisposable {
  readonly log = new RecordLog();
  readonly clients: RtmpConnection[] = [];
  readonly folder: string;
  readonly scope = new Scope("test");
  door!: RtmpListeners;
  addresses!: ListenerAddresses;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async start(flags: Partial<Record<SettingName, string>> = {}): Promise<Bench> {
    const bench = new Bench(await Deno.makeTempDir());
    await bench.write(PAIR);
    const all = { host: "127.0.0.1", port: "0", "sip-port": "0", ...flags };
    for (const name of ["tls-cert", "tls-key", "rtmp-users"] as const) {
      if (all[name] !== undefined) all[name] = `${bench.folder}/${all[name]}`;
    }
    const environment = { clock: systemClock, log: bench.log, random: systemRandom };
    const users = formatUser("alice", await hashPassword("secret", systemRandom, 10_000));
    await Deno.writeTextFile(`${bench.folder}/users`, users);
    try {
      bench.door = await RtmpListeners.create(buildConfig({ flags: all }), environment);
      bench.scope.spawn("door", (signal) =>
        bench.door.run(signal, (client, place) => {
          bench.scope.spawn("client", (stop) => bench.#serve(client, place, stop));
        }));
      bench.addresses = await bench.door.opened;
      return bench;
    } catch (error) {
      await bench[Symbol.asyncDispose]();
      throw error;
    }
  }

  async write({ certificate, privateKey }: SelfSigned): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/cert.pem`, certificate);
    await Deno.writeTextFile(`${this.folder}/key.pem`, privateKey);
  }

  async #serve(connection: RtmpConnection, place: Disposable, signal: AbortSignal): Promise<void> {
    using _place = place;
    await using client = connection;
    signal.addEventListener("abort", () => void client.close(), { once: true });
    this.clients.push(client);
    const request = await this.door.greet(client);
    if (request === null) return;
    const outcome = await this.door.login(client, request, null, signal);
    if (outcome.type === "refused") return await client.reject(outcome.reason);
    client.accept({ user: outcome.user });
    for await (const event of client.events()) if (event.type === "command") event.reply.result(42);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scope.close();
    await Deno.remove(this.folder, { recursive: true });
  }
}

const TLS = { "rtmps-port": "0", "tls-cert": "cert.pem", "tls-key": "key.pem" };

async function secure(at: Endpoint, { certificate }: SelfSigned): Promise<ByteStream> {
  const conn = await Deno.connectTls({ hostname: "localhost", port: at.port, caCerts: [certificate] });
  await conn.handshake();
  return new TcpConnection(conn as unknown as Deno.TcpConn); // it lacks only the socket options
}

async function ask(stream: ByteStream, query = ""): Promise<unknown> {
  const target = { app: `live${query}`, tcUrl: `rtmp://localhost/live${query}` };
  await using client = await RtmpClient.over(stream, target, CLIENT);
  return await client.call("anything");
}

Deno.test("plain, TLS and HTTP lead to the same gateway", async () => {
  await using bench = await Bench.start({ ...TLS, "rtmpt-port": "0" });
  const { rtmp, rtmps, rtmpt } = bench.addresses;
  assert.deepEqual(await ask(await connectTcp(rtmp)), [42]);
  assert.deepEqual(await ask(await secure(rtmps!, PAIR)), [42]);
  using http = await connectTcp(rtmpt!);
  const name = await new HttpTestClient(http).open();
  assert.match(name, /^[a-z0-9]{24}$/);
  while (bench.clients.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual(bench.clients.map(({ id }) => id), [1, 2, 3], "one numbering");
  const said = bench.log.lines.join("\n");
  for (const way of [`RTMPS clients connect to 127.0.0.1:${rtmps!.port}`, "RTMPT clients connect to"]) {
    assert.ok(said.includes(way));
  }
});

Deno.test("RTMP in HTTPS requests: a whole session, a certificate that is read again, and no RTMPS needed", async () => {
  const { "rtmps-port": _none, ...files } = TLS;
  await using bench = await Bench.start({ ...files, "rtmpts-port": "0" });
  const { rtmps, rtmpt, rtmpts } = bench.addresses;
  assert.deepEqual([rtmps, rtmpt], [null, null]);
  assert.ok(bench.log.lines.join("\n").includes(`RTMPTS clients connect to 127.0.0.1:${rtmpts!.port}`));
  using before = await secure(rtmpts!, PAIR);
  const tunnel = new HttpTestClient(before);
  assert.match(await tunnel.open(), /^[a-z0-9]{24}$/);
  while (bench.clients.length < 1) await new Promise((resolve) => setTimeout(resolve, 1));
  await bench.write(OTHER);
  await bench.door.reload();
  using after = await secure(rtmpts!, OTHER);
  assert.match(await new HttpTestClient(after).open(), /^[a-z0-9]{24}$/);
  assert.match(await tunnel.open(), /^[a-z0-9]{24}$/, "the old connection goes on");
});

Deno.test("only what is configured is open", async () => {
  await using bench = await Bench.start();
  assert.deepEqual([bench.addresses.rtmps, bench.addresses.rtmpt], [null, null]);
  assert.equal(bench.door.access.asksForLogin, false);
  assert.deepEqual(await ask(await connectTcp(bench.addresses.rtmp)), [42]);
});

Deno.test("users and token are asked for, by any way in", async () => {
  await using bench = await Bench.start({ ...TLS, "rtmp-users": "users", "rtmp-token": "0123456789abcdef" });
  const { rtmp, rtmps } = bench.addresses;
  assert.deepEqual(await ask(await connectTcp(rtmp), "?token=0123456789abcdef"), [42]);
  assert.deepEqual(await ask(await secure(rtmps!, PAIR), "?user=alice&password=secret"), [42]);
  await assert.rejects(
    ask(await connectTcp(rtmp), "?user=alice&password=hunter2"),
    (error) => error instanceof RtmpRefused && error.description === "wrong user name, password or token",
  );
  const said = bench.log.lines.join("\n");
  assert.match(said, /"alice" at 127\.0\.0\.1 was refused/);
  assert.doesNotMatch(said, /hunter2/);
});

Deno.test("a reload changes certificate and users for those who come, and leaves those who are there", async () => {
  await using bench = await Bench.start({ ...TLS, "rtmp-users": "users" });
  const { rtmps } = bench.addresses;
  const target = { app: "live?user=alice&password=secret", tcUrl: "rtmp://localhost/live" };
  await using before = await RtmpClient.over(await secure(rtmps!, PAIR), target, CLIENT);
  await bench.write(OTHER);
  const users = formatUser("bob", await hashPassword("bobs secret", systemRandom, 10_000));
  await Deno.writeTextFile(`${bench.folder}/users`, users);
  await bench.door.reload();
  assert.deepEqual(await before.call("anything"), [42]);
  assert.deepEqual(await ask(await secure(rtmps!, OTHER), "?user=bob&password=bobs%20secret"), [42]);

  await Deno.writeTextFile(`${bench.folder}/key.pem`, PAIR.privateKey);
  await Deno.writeTextFile(`${bench.folder}/users`, "broken");
  await bench.door.reload();
  const errors = bench.log.lines.filter((line) => line.startsWith("error"));
  assert.match(
    errors[0]!,
    /cert\.pem and .*key\.pem: the TLS certificate and key cannot be used: .*keeping what was loaded before$/,
  );
  assert.match(errors[1]!, /users, line 1: .*; keeping what was loaded before$/);
  assert.deepEqual(await ask(await secure(rtmps!, OTHER), "?user=bob&password=bobs%20secret"), [42]);
});

Deno.test("a reload says what was read, or that there is nothing", async () => {
  const table: [Partial<Record<SettingName, string>>, RegExp[]][] = [
    [{}, [
      /nothing to reload: none of tls-cert, tls-key, rtmp-users is set; all other settings are read at the start$/,
    ]],
    [TLS, [/certificate reloaded \(.*cert\.pem\)$/]],
    [{ "rtmp-users": "users" }, [/users reloaded \(.*users\)$/]],
    [{ ...TLS, "rtmp-users": "users" }, [/certificate reloaded/, /users reloaded/]],
  ];
  for (const [flags, lines] of table) {
    await using bench = await Bench.start(flags);
    const before = bench.log.lines.length;
    await bench.door.reload();
    const told = bench.log.lines.slice(before);
    assert.equal(told.length, lines.length, told.join("\n"));
    for (const [index, line] of lines.entries()) assert.match(told[index]!, line);
  }
});

Deno.test("files that are missing or wrong are told before any port is open", async () => {
  const table: [Partial<Record<SettingName, string>>, new (...args: never[]) => Error, RegExp][] = [
    [{ ...TLS, "tls-cert": "none.pem" }, TransportError, /none\.pem: there is no such file/],
    [{ ...TLS, "tls-cert": "key.pem" }, ConfigError, /key\.pem: the TLS certificate and key cannot/],
    [{ "rtmp-users": "nobody" }, TransportError, /nobody: there is no such file/],
    [{ "rtmp-users": "key.pem" }, ConfigError, /key\.pem, line 1: /],
  ];
  for (const [flags, kind, message] of table) {
    await assert.rejects(Bench.start(flags), (error) => {
      assert.ok(error instanceof kind);
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("when one port cannot be had none stays open", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await assert.rejects(Bench.start({ "rtmpt-port": String(taken.addr.port) }), (error) => {
    assert.ok(error instanceof TransportError);
    assert.equal(error.code, "addr-in-use");
    return true;
  });
});

Deno.test("a door that is stopped before it is open says so", async () => {
  const environment = { clock: systemClock, log: new RecordLog(), random: systemRandom };
  const config = buildConfig({ flags: { host: "127.0.0.1", port: "0" } });
  const door = await RtmpListeners.create(config, environment);
  await door.run(AbortSignal.abort(), () => assert.fail("nobody can have come"));
  await assert.rejects(door.opened, TransportError);
});

Deno.test("a client whose address has too many connections is rejected, and only that client", async () => {
  await using bench = await Bench.start({ "rtmpt-port": "0" });
  const { access } = bench.door;
  const refused = { type: "refused", reason: "2 connections are the limit of one address", first: true };
  Object.defineProperty(access, "admit", { value: () => refused, configurable: true });
  using stream = await connectTcp(bench.addresses.rtmp);
  assert.equal(await stream.read(new Uint8Array(1)).catch(() => null), null);
  using http = await connectTcp(bench.addresses.rtmpt!);
  const tunnel = new HttpTestClient(http);
  const name = await tunnel.open();
  assert.equal((await tunnel.post(`/idle/${name}/0`)).status, 404);
  assert.match(
    bench.log.lines.join("\n"),
    /warn rtmp.*rejecting RTMP connections from 127\.0\.0\.1: 2 connections/,
  );
  Reflect.deleteProperty(access, "admit");
  assert.deepEqual(await ask(await connectTcp(bench.addresses.rtmp)), [42]);
});

Deno.test("connections that say nothing: the oldest makes room, and a real client comes in through all of them", async () => {
  await using bench = await Bench.start({ "max-half-open": "4" });
  const { rtmp } = bench.addresses;
  const silent: TcpConnection[] = [];
  for (let i = 0; i < 6; i++) silent.push(await connectTcp(rtmp));
  for (const stream of silent.slice(0, 2)) assert.equal(await stream.read(new Uint8Array(1)), null);
  await using _client = await RtmpClient.open(`rtmp://127.0.0.1:${rtmp.port}/any`, CLIENT);
  assert.equal(await silent[2]!.read(new Uint8Array(1)), null);
  for (const stream of silent) stream.close();
  bench.door.offenders[Symbol.dispose]();
  const named = bench.log.at("warn").filter((line) => line.includes("rate limited 127.0.0.1"));
  assert.match(named.join(), /in the last minute: 3 RTMP connections without a connect command$/);
});

Deno.test("RTMP listener: peers with another protocol are logged one by one at first, then as a sum", async () => {
  await using bench = await Bench.start();
  for (let i = 0; i < 30; i++) {
    const stream = await connectTcp(bench.addresses.rtmp);
    stream.put(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    while (await stream.read(new Uint8Array(1000)).catch(() => null) !== null);
    stream.close();
  }
  const told = bench.log.at("warn").filter((line) => line.includes("not RTMP but HTTP (GET / HTTP/1.1)"));
  assert.ok(told.length >= 20 && told.length < 30, `${told.length}`);
  bench.door.offenders[Symbol.dispose]();
  assert.match(bench.log.at("warn").at(-1) ?? "", /\d connections with invalid RTMP$/);
});

const DAY_MS = 24 * 60 * 60 * 1000;

Deno.test("read, exchanged, kept when the new one is wrong; an old one is used with a warning", () =>
  inFolder(async (folder) => {
    const files = {
      listen: { hostname: "127.0.0.1", port: 0 },
      certificateFile: `${folder}/cert.pem`,
      keyFile: `${folder}/key.pem`,
    };
    const write = async ({ certificate, privateKey }: SelfSigned): Promise<void> => {
      await Deno.writeTextFile(files.certificateFile, certificate);
      await Deno.writeTextFile(files.keyFile, privateKey);
    };
    const log = new RecordLog();
    await assert.rejects(openTlsFiles(files, log), TransportError);
    const first = await createSelfSigned();
    await write(first);
    const identity = await openTlsFiles(files, log);
    assert.deepEqual(log.lines, []);
    const other = await createSelfSigned();
    await write({ ...other, privateKey: first.privateKey });
    await assert.rejects(reloadTlsFiles(files, identity, log), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /cert\.pem and .*key\.pem: .*the key is not that of the certificate$/);
      return true;
    });
    assert.equal(identity.pem.certificate.trim(), first.certificate.trim());
    await write(await createSelfSigned(["localhost"], Date.now() - 100 * DAY_MS));
    await reloadTlsFiles(files, identity, log);
    assert.match(log.lines.join("\n"), /^warn .*cert\.pem has expired \(.*\): clients will reject it$/);
  }));

const TOKEN = "open-sesame-please";

/** A client that says exactly this app, as programs do that cut URLs in their own way. */
async function connect(running: TestGateway, app: string): Promise<RtmpClient> {
  const stream = await connectTcp(running.gateway.rtmp);
  const environment = { clock: systemClock, log: silentLog, random: systemRandom };
  return await RtmpClient.over(stream, { app, tcUrl: `rtmp://127.0.0.1/${app}` }, environment);
}

Deno.test("what connect leaves open is what application is meant, or who it is where that is asked", () => {
  const table: [app: string, query: string, asked: boolean, later: boolean][] = [
    ["", "", false, true],
    ["/", "token=x", false, true],
    ["live", "", false, false],
    ["live", "", true, true],
    ["call/desk", "", true, true],
    ["line", "key=x", true, true],
    ["live", "token=x", true, false],
    ["live", "user=a&password=b", true, false],
    ["sip/alice@example.com", "", true, false],
    ["sip/nobody", "", true, false],
  ];
  for (const [app, query, asked, later] of table) {
    const request = { query, args: [] } as unknown as ConnectRequest;
    assert.equal(isToldLater(parseAppPath(app) satisfies AppPath, request, asked), later, `${app}?${query}`);
  }
});

Deno.test("a client that says nothing more is dropped in time", async () => {
  const clock = new FakeClock();
  const ended = Promise.withResolvers<void>();
  let answered = 0;
  const reply = { result: () => void answered++, error: () => assert.fail("programs say what they like") };
  const silent: Parameters<typeof firstStream>[0] = {
    accept: () => {},
    giveBack: () => assert.fail("nothing was read"),
    drop: () => ended.resolve(),
    async *events() {
      yield { type: "command", name: "checkBandwidth", args: [], streamId: 0, reply };
      await ended.promise;
    },
  };
  const waiting = firstStream(silent, { clock, waitMs: 15_000 });
  await clock.advance(14_999);
  assert.equal(clock.pending, 1);
  await clock.advance(1);
  assert.equal(await waiting, null);
  assert.equal(answered, 1);
  assert.equal(clock.pending, 0);
});

/** One URL, cut by the publisher and by the player in their own ways. */
const CUTS: [publisher: [app: string, name: string], player: [app: string, name: string]][] = [
  [["live/", "X"], ["live", "X"]],
  [["live", "/X"], ["live", "X"]],
  [["live", "room/X"], ["live/room", "X"]],
  [["live/room", "X"], ["live", "room/X"]],
  [["live", "X"], ["live", "X.flv"]],
  [["", "X"], ["", "X"]],
  [["X", ""], ["X", ""]],
  [["", "live/X"], ["live", "X"]],
  [["live/X", ""], ["", "/live//X"]],
  [["live/X", "rtmp://gateway/live/X"], ["live", "X"]],
  [["live//room", "X"], ["", "rtmp://gateway:1935/live/room/X"]],
];

Deno.test("one URL is one stream, wherever a program cuts it", async () => {
  await using running = await startGateway();
  for (const [[app, name], [playerApp, playerName]] of CUTS) {
    await using publisher = await connect(running, app);
    await using player = await connect(running, playerApp);
    const [from, to] = [await publisher.createStream(), await player.createStream()];
    const heard = Promise.withResolvers<number>();
    to.onMedia = ({ type, body }) => type === 8 && heard.resolve(body[1]!);
    await from.publish(name);
    await to.play(playerName);
    from.send(8, 0, new Uint8Array([0x82, 7]));
    assert.equal(await heard.promise, 7, JSON.stringify([app, name, playerApp, playerName]));
  }
});

Deno.test("the first media behind a publish that named the application is not lost", async () => {
  await using running = await startGateway();
  await using publisher = await connect(running, "");
  const from = await publisher.createStream();
  const published = from.publish("live/room/X");
  from.send(8, 0, new Uint8Array([0xaf, 0, 0x12, 0x10])); // before the answer has come
  await published;
  await using player = await connect(running, "live");
  const to = await player.createStream();
  const heard = Promise.withResolvers<string>();
  to.onMedia = ({ type, body }) => type === 8 && heard.resolve([...body].join());
  await to.play("room/X");
  assert.equal(await heard.promise, "175,0,18,16");
});

const LOGINS: [where: string, app: string, name: string, admitted: boolean][] = [
  ["connect has the token", `live?token=${TOKEN}`, "cam", true],
  ["the stream key has it", "live", `cam?token=${TOKEN}`, true],
  ["the stream key has it, and more", "live", `cam?a=b&token=${TOKEN}&c`, true],
  ["the name of an empty app has it", "", `live/cam?token=${TOKEN}`, true],
  ["connect has it, the app is empty", `?token=${TOKEN}`, "live/cam", true],
  ["an empty name has it", "live/cam", `?token=${TOKEN}`, true],
  ["nobody has it", "live", "cam", false],
  ["it is wrong", "live", "cam?token=open-sesame-pleasf", false],
  ["nobody has it, and the app is empty", "", "live/cam", false],
];

for (const [where, app, name, admitted] of LOGINS) {
  Deno.test(`a token is asked for and ${where}: ${admitted ? "in" : "out"}`, async () => {
    await using running = await startGateway({ "rtmp-token": TOKEN });
    await using client = await connect(running, app);
    const stream = await client.createStream();
    if (admitted) await stream.publish(name);
    else {
      await assert.rejects(stream.publish(name), /NetStream.Publish.Denied|login is needed|wrong/);
      await client.closed;
    }
    assert.doesNotMatch(running.lines(), /sesame/);
  });
}

Deno.test("a SIP address belongs into connect: as the name of a stream it is refused in words", async () => {
  await using running = await startGateway();
  await using client = await connect(running, "");
  const stream = await client.createStream();
  await assert.rejects(stream.publish("sip/alice@127.0.0.1/local"), /rtmp:\/\/this-host\/sip\/user@domain/);
});

Deno.test("calls by URL: an empty app, the key in the stream key", async () => {
  await using running = await startGateway(
    {},
    `
[[account]]
name = "desk"
address = "desk@127.0.0.1"
answer = "auto"
key = "0123456789abcdefg"
`,
  );
  await using wrong = await connect(running, "");
  await assert.rejects((await wrong.createStream()).play("line/desk"), /a key is needed/);
  await using right = await connect(running, "");
  await (await right.createStream()).play("line/desk?key=0123456789abcdefg");
  await using around = await connect(running, "live");
  await assert.rejects(
    (await around.createStream()).play("rtmp://gateway/line/desk"),
    /no name for a stream/,
  );
});
