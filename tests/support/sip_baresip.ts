// Runs a real baresip on loopback that sends back what it hears: answers every call by itself, or dials at once.
// Role: edge

import { type BaresipProcess, startBaresipProcess } from "./baresip_process.ts";

/** Starts it. @param commands executed at once, e.g. "/dial sip:bob@127.0.0.1:5060" */
export function startBaresip(...commands: readonly string[]): Promise<BaresipProcess> {
  const config = [
    "audio_source aubridge,x",
    "audio_player aubridge,x",
    "audio_alert aubridge,x",
    "module g711.so",
    "module aubridge.so",
    "module_app account.so",
  ];
  return startBaresipProcess({
    prepare: () => Promise.resolve(config),
    account: "",
    lifeSeconds: 30,
    commands,
  });
}
