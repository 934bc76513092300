// A port that is free for both UDP and TCP on loopback at this moment, for peers that cannot bind port 0.

export function freePort(hostname = "127.0.0.1"): number {
  for (let tries = 0; tries < 50; tries++) {
    using listener = Deno.listen({ hostname, port: 0 });
    const { port } = listener.addr;
    try {
      Deno.listenDatagram({ transport: "udp", hostname, port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error("no port is free for both UDP and TCP");
}
