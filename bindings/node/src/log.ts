// The log: what the library has to say, and what handlers say by their context, in the hands of an object like `console`.

import { inspect } from "node:util";

import { misuse } from "./errors";
import { decode } from "./options";

export type LogLevel = "error" | "warn" | "info" | "debug";

/** As the library gives it. */
export interface LogLine {
  time: string;
  level: LogLevel;
  target: string;
  message: string;
  fields: Record<string, string>;
  /** Lines before this one that were lost, because they came too fast. */
  lost: number;
}

/** Facts beside a line's sentence: function, task, execution, attempt, worker, and what a handler adds. */
export type LogFields = Record<string, unknown>;

/** Takes lines: a sentence for people, and facts for programs. `console` is one, and so are most loggers. */
export interface Logger {
  debug(message: string, fields: LogFields): unknown;
  info(message: string, fields: LogFields): unknown;
  warn(message: string, fields: LogFields): unknown;
  error(message: string, fields: LogFields): unknown;
}

/** What `context.log` is. */
export interface HandlerLog {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LogChoice {
  /** Takes the log, from the start; `console` where nobody says, and false: nobody does. */
  logger?: Logger | false | undefined;
  /** The least that is wanted: "info", and of `console` where nobody says "warn". */
  logLevel?: LogLevel | undefined;
}

const LEVELS: LogLevel[] = ["error", "warn", "info", "debug"];

/** Of one store: where its lines go. */
export class Log {
  private constructor(
    private readonly logger: Logger,
    readonly level: LogLevel,
  ) {}

  static of({ logger = console, logLevel }: LogChoice, isChosen: boolean): Log | null {
    if (logger === false) return null;
    for (const level of LEVELS) {
      if (typeof logger?.[level] !== "function") {
        throw misuse(`open: logger has no function '${level}'; it must be an object like console, or false`);
      }
    }
    const level = logLevel ?? (isChosen ? "info" : "warn");
    if (LEVELS.includes(level)) return new Log(logger, level);
    throw misuse(`open: logLevel is ${JSON.stringify(level)}; it must be one of ${LEVELS.join(", ")}`);
  }

  wants(level: LogLevel): boolean {
    return LEVELS.indexOf(level) <= LEVELS.indexOf(this.level);
  }

  write(level: LogLevel, message: string, fields: LogFields): void {
    if (!this.wants(level)) return;
    // A handler does not fail because its log is full, and nor does the loop, or the process by a promise of the logger's.
    const warn = (why: unknown) => {
      const text = why instanceof Error ? String(why) : inspect(why);
      process.emitWarning(`Stent's logger threw: ${text}`, "StentWarning");
    };
    try {
      const writing = this.logger[level](message, fields);
      if (writing instanceof Promise) writing.catch(warn);
    } catch (why) {
      warn(why);
    }
  }

  /** A line of the library's. */
  line({ level, message, target, fields, lost }: LogLine): void {
    this.write(level, message, { target, ...decode<LogFields>(fields), ...(lost > 0 && { lost }) });
  }
}

/** What a handler says: with its task's ids, and not again in a replay. */
export function handlerLog(log: Log | null, isMuted: () => boolean, ids: () => LogFields): HandlerLog {
  const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (log?.wants(level) && !isMuted()) log.write(level, message, { target: "stent.task", ...ids(), ...fields });
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
