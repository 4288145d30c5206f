// A store's codec at work: values of handlers and callers become payloads, and come back.

import type { Codec } from "./codec";
import { InvalidError, misuse, StentError } from "./errors";
import { fromJson, toJson } from "./payload";

export class Values {
  constructor(private readonly codec: Codec) {}

  /** What is carried of it. Whatever a codec throws is an error that no retry would mend. */
  write(value: unknown, place: string): unknown {
    return this.guarded(place, "can't be written", () => this.codec.write(value, place));
  }

  read(carried: unknown, place: string): unknown {
    return this.guarded(place, "can't be read", () => this.codec.read(carried));
  }

  /** For records, which are to be seen whatever is in them. */
  look(carried: unknown): unknown {
    try {
      return this.codec.read(carried);
    } catch {
      return carried;
    }
  }

  /** As a call of the library takes it: null for undefined. */
  text(value: unknown, place: string): string | null {
    return value === undefined ? null : toJson(this.write(value, place), place);
  }

  /** What a caller left away is left away: a parameter's default is taken then. */
  args(args: readonly unknown[], place: string): unknown[] {
    if (!Array.isArray(args)) throw misuse(`${place} must be an array`);
    let count = args.length;
    while (count > 0 && args[count - 1] === undefined) count--;
    return args.slice(0, count).map((arg, index) => this.write(arg, `${place}[${index}]`));
  }

  argsText(args: readonly unknown[], place: string): string {
    return toJson(this.args(args, place), place) as string;
  }

  members(values: Record<string, unknown>, place: string): Record<string, unknown> {
    const given = Object.entries(values).filter(([, value]) => value !== undefined);
    return Object.fromEntries(given.map(([key, value]) => [key, this.write(value, `${place}.${key}`)]));
  }

  lookMembers(carried: Record<string, unknown>): Record<string, unknown> {
    return Object.fromEntries(Object.entries(carried).map(([key, held]) => [key, this.look(held)]));
  }

  readText(json: string, place: string): unknown {
    return this.read(fromJson(json), place);
  }

  private guarded(place: string, doing: string, body: () => unknown): unknown {
    try {
      return body();
    } catch (why) {
      if (why instanceof StentError) throw why;
      const message = `${place} ${doing}: ${why instanceof Error ? why.message : String(why)}`;
      const error = new InvalidError({ status: "INVALID", message });
      error.cause = why;
      throw error;
    }
  }
}
