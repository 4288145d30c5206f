// Tasks of functions whose handlers take many in one call: gathered as they come, and begun together.

import { AsyncResource } from "node:async_hooks";
import { misuse } from "./errors";
import type { BatchDefinition } from "./functions";
import type { BatchItem } from "./item";
import { shown } from "./references";

interface Gathered {
  item: BatchItem;
  resolve(outcome: unknown): void;
  reject(thrown: unknown): void;
}

/** The batch of one function that is gathered. */
interface Gathering {
  definition: BatchDefinition<any, any>;
  tasks: Set<Gathered>;
  timer: NodeJS.Timeout | null;
}

/** Of one worker. */
export class Batches {
  private readonly gatherings = new Map<string, Gathering>();
  /** A batch is nothing that one of its tasks does: it has the trace of neither. */
  private readonly scope = new AsyncResource("StentBatches");
  private lookSet = false;
  private isDraining = false;

  /** `hasSlot`: may the worker get another task before one has ended? */
  constructor(private readonly hasSlot: () => boolean) {}

  /** Gives the task's own outcome, when its batch has come to it. */
  add(definition: BatchDefinition<any, any>, item: BatchItem): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const gathering = this.gatheringOf(definition);
      const one = { item, resolve, reject };
      if (item.info.apart) {
        // Whether it kills its worker is found out by it alone.
        this.scope.runInAsyncScope(() => void run(definition, [one]));
        return;
      }
      item.signal.addEventListener("abort", () => gathering.tasks.delete(one) && reject(item.signal.reason), { once: true });
      gathering.tasks.add(one);
      this.look();
      this.scope.runInAsyncScope(() => {
        if (this.isDraining || gathering.tasks.size >= definition.size) this.begin(gathering);
        else if (gathering.tasks.size === 1 && definition.wait > 0) this.beginLater(gathering);
      });
    });
  }

  /** A task has come, of whatever function, or goes on where it waited. Looks when all are here that come with it. */
  look(): void {
    if (this.lookSet || this.gatherings.size === 0) return;
    this.lookSet = true;
    setImmediate(() => {
      this.lookSet = false;
      const there = [...this.gatherings.values()].filter(({ tasks }) => tasks.size > 0);
      if (there.length === 0) return;
      const isFull = there.some(({ definition }) => definition.wait > 0) && !this.hasSlot();
      for (const one of there) if (isFull || one.definition.wait === 0) this.begin(one);
    });
  }

  /** Nothing more comes. */
  drain(): void {
    this.isDraining = true;
    for (const gathering of this.gatherings.values()) this.begin(gathering);
  }

  private gatheringOf(definition: BatchDefinition<any, any>): Gathering {
    let gathering = this.gatherings.get(definition.name);
    if (!gathering) this.gatherings.set(definition.name, (gathering = { definition, tasks: new Set(), timer: null }));
    return gathering;
  }

  private beginLater(gathering: Gathering): void {
    // Of a first task that was cancelled.
    if (gathering.timer) clearTimeout(gathering.timer);
    gathering.timer = setTimeout(() => this.begin(gathering), gathering.definition.wait).unref();
  }

  private begin(gathering: Gathering): void {
    if (gathering.timer) clearTimeout(gathering.timer);
    gathering.timer = null;
    const tasks = [...gathering.tasks];
    gathering.tasks.clear();
    if (tasks.length > 0) this.scope.runInAsyncScope(() => void run(gathering.definition, tasks));
  }
}

/** What the call throws counts for each of its tasks. */
async function run({ name, handler }: BatchDefinition<any, any>, tasks: Gathered[]): Promise<void> {
  try {
    const answer = await handler(tasks.map(({ item }) => item));
    if (!Array.isArray(answer)) {
      throw misuse(`the handler of '${name}' answered ${shown(answer)}; it must be an array with an outcome for each task`);
    }
    // What is refused as a whole leaves no rejection behind that nobody handles.
    const outcomes = await Promise.allSettled(answer);
    if (outcomes.length !== tasks.length) {
      throw misuse(`the handler of '${name}' answered ${outcomes.length} outcomes for ${tasks.length} tasks; there must be one for each`);
    }
    outcomes.forEach((outcome, index) => {
      if (outcome.status === "rejected") tasks[index].reject(outcome.reason);
      else if (outcome.value instanceof Error) tasks[index].reject(outcome.value);
      else tasks[index].resolve(outcome.value);
    });
  } catch (thrown) {
    for (const task of tasks) task.reject(thrown);
  }
}
