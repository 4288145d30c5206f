// The event loop's side: one poller, watched by a socket. Events are taken in batches, and each is handed to whom it is
// for. After a turn a workflow's microtasks run; when they have, the turn is given back.

import { randomUUID } from "node:crypto";
import * as net from "node:net";
import { check, errorOf, errorOut } from "./checked";
import { CancelledError, ClosedError, STATUS, type StentError } from "./errors";
import { duplicate, type Handle, native } from "./native";
import type { LogLine } from "./log";
import { fromJson, toJson } from "./payload";
import type { Values } from "./values";

/** Every event that the library knows; a test compares. */
export const EVENTS = ["task", "op", "ended", "cancel", "evict", "reply", "log", "worker"] as const;

/** Events taken at once, and batches in a row before the loop's other work has its turn. */
const BATCH = 64;
const BATCHES = 16;

export type WorkerState = "starting" | "ready" | "draining" | "stopped";

/** A task in the hands of its handler, as far as events are for it. */
export interface Hosted {
  readonly tag: number;
  start(): void;
  /** What was asked for under this number has ended: a new turn. */
  answer(tag: number, status: number, json: string): void;
  /** All microtasks have run. Something that the handler awaits is durable: then the turn is given back. */
  giveTurn(): void;
  ended(): void;
  /** The work is in vain: what is awaited fails, so that the handler comes to its end. */
  cancel(timedOut: boolean): void;
  /**
   * The task is somebody else's, or comes anew: a workflow that waits is dropped where it stands; what runs is told. Or it
   * is cancelled: then what it awaits fails, so that it comes to its end.
   */
  evict(isCancelled: boolean): void;
}

interface Question {
  operation: string;
  resolve(answer: unknown): void;
  reject(error: StentError): void;
}

export class Host {
  readonly poller: Handle;
  /** Makes the run of a task that has come. */
  newRun: (tag: number, event: Handle) => Hosted = () => {
    throw new Error("no worker runs here");
  };
  onLog: (line: LogLine) => void = () => {};
  onWorker: (state: { worker_id: string; state: WorkerState }) => void = () => {};

  private readonly socket: net.Socket;
  private readonly events = new BigUint64Array(BATCH);
  private readonly count = new BigUint64Array(1);
  private readonly runs = new Map<number, Hosted>();
  private readonly answers = new Map<number, Hosted>();
  private readonly questions = new Map<number, Question>();
  private readonly touched = new Set<Hosted>();
  private flushSet = false;
  private lastTag = 0;
  private reasonsToStay = 0;
  private closed = false;

  constructor(readonly values: Values) {
    const out = new BigUint64Array(1);
    check(native.pollerNew(out, errorOut));
    this.poller = out[0];
    this.socket = new net.Socket({ fd: duplicate(native.pollerFd(this.poller)), readable: true, writable: false });
    this.socket.on("data", () => this.drain());
    this.socket.unref();
  }

  /** The process lives at least until the reason is gone. */
  stay(): () => void {
    if (this.reasonsToStay++ === 0) this.socket.ref();
    let there = true;
    return () => {
      if (!there) return;
      there = false;
      if (--this.reasonsToStay === 0 && !this.closed) this.socket.unref();
    };
  }

  /** Submits an operation of an executor; the answer comes when it comes. */
  submit<T>(executor: Handle, operation: string, request: object, signal?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.closed) throw new ClosedError({ status: "CLOSED", message: `${operation}: the store was closed` });
      signal?.throwIfAborted();
      const tag = ++this.lastTag;
      check(native.executorSubmit(executor, operation, toJson(request, operation), this.poller, tag, errorOut));
      const leave = this.stay();
      const give = () => native.executorSubmitCancel(executor, this.poller, tag, null);
      const over = () => {
        leave();
        signal?.removeEventListener("abort", give);
      };
      signal?.addEventListener("abort", give, { once: true });
      this.questions.set(tag, {
        operation,
        resolve: (answer) => (over(), resolve(answer as T)),
        reject: (error) => (over(), reject(signal?.aborted ? signal.reason : error)),
      });
    });
  }

  /** A number under which the run is answered. */
  ask(run: Hosted): number {
    const tag = ++this.lastTag;
    this.answers.set(tag, run);
    return tag;
  }

  forgetQuestions(tags: Iterable<number>): void {
    for (const tag of tags) this.answers.delete(tag);
  }

  forget(run: Hosted): void {
    this.runs.delete(run.tag);
    this.touched.delete(run);
  }

  /** The run has had a turn: when nothing of it is left to do, its turn is given back. */
  touch(run: Hosted): void {
    this.touched.add(run);
    if (this.flushSet) return;
    this.flushSet = true;
    // By then all microtasks have run.
    setImmediate(() => {
      this.flushSet = false;
      const touched = [...this.touched];
      this.touched.clear();
      for (const one of touched) one.giveTurn();
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.socket.destroy();
    native.pollerFree(this.poller);
    for (const question of this.questions.values()) {
      question.reject(new ClosedError({ status: "CLOSED", message: "the store was closed" }));
    }
    this.questions.clear();
  }

  /** Takes what is there. The socket has read the byte that told of it, so nothing may be left behind. */
  private drain(): void {
    for (let batch = 0; batch < BATCHES; batch++) {
      if (this.closed) return;
      check(native.pollerTake(this.poller, this.events, BATCH, this.count, errorOut));
      const count = Number(this.count[0]);
      // Copied: a handler may run while it is read.
      for (const event of this.events.slice(0, count)) this.handle(event);
      if (count < BATCH) return;
    }
    setImmediate(() => this.drain());
  }

  private handle(event: Handle): void {
    try {
      const type: (typeof EVENTS)[number] = native.eventType(event);
      const tag: number = native.eventTag(event);
      switch (type) {
        case "task": {
          const run = this.newRun(tag, event);
          this.runs.set(tag, run);
          run.start();
          break;
        }
        case "op": {
          const run = this.answers.get(tag);
          this.answers.delete(tag);
          run?.answer(tag, native.eventStatus(event), native.eventJson(event));
          break;
        }
        case "ended":
          this.runs.get(tag)?.ended();
          break;
        case "cancel":
          this.runs.get(tag)?.cancel(native.eventStatus(event) === STATUS.TIMEOUT);
          break;
        case "evict":
          this.runs.get(tag)?.evict(native.eventStatus(event) === STATUS.CANCELLED);
          break;
        case "reply": {
          const question = this.questions.get(tag);
          this.questions.delete(tag);
          const json: string = native.eventJson(event);
          if (native.eventStatus(event) < 0) question?.reject(errorOf(json, this.values, question.operation === "backend_call"));
          else question?.resolve(fromJson(json));
          break;
        }
        case "log":
          this.onLog(JSON.parse(native.eventJson(event)));
          break;
        case "worker":
          this.onWorker(JSON.parse(native.eventJson(event)));
          break;
      }
    } finally {
      native.eventFree(event);
    }
  }
}

export const newWorkerId = randomUUID;

export const cancelled = (message: string) => new CancelledError({ status: "CANCELLED", message });
