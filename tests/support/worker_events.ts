// The other workers of a process, as one of them sees them: they record every event.

import type { AgentNews, DialogRecord, SipWorkerEvents } from "../../lib/sip/ua/worker_events.ts";

export class RecordingWorkerEvents implements SipWorkerEvents {
  readonly linePrefix: string;
  readonly agents = new Map<string, AgentNews>();
  readonly dialogs = new Map<string, DialogRecord>();
  /** Every record that was told, the latest last. */
  readonly told: DialogRecord[] = [];

  constructor(linePrefix = "1.") {
    this.linePrefix = linePrefix;
  }

  agentCame(news: AgentNews): void {
    this.agents.set(news.line, news);
  }

  agentLeft(line: string): void {
    this.agents.delete(line);
  }

  dialogIs(record: DialogRecord): void {
    // As it is when it has been posted: nothing but values.
    this.dialogs.set(record.id, structuredClone(record));
    this.told.push(structuredClone(record));
  }

  dialogEnded(id: string): void {
    this.dialogs.delete(id);
  }
}
