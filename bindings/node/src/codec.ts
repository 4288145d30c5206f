// How values become JSON and come back. What JSON has is written as it is, and what only JavaScript has with a mark:
// {"$js": ["date", "…"]}.

import { types } from "node:util";
import { misuse } from "./errors";
import { holdsBytes, isBytes, isObject, isSimple, Walk } from "./payload";

/**
 * Between the values of handlers and what is carried of them. `open(url, { codec })` takes one of your own. The same value
 * must always be written in the same way: a replay compares.
 */
export interface Codec {
  /** What is carried of a value: what JSON has, and Buffers, at any depth. Throws where a value can't be carried; `place`
   * says whose value it is. */
  write(value: unknown, place: string): unknown;
  /** The value of what was carried, which may be changed. */
  read(carried: unknown): unknown;
}

const MARK = "$js";

type Class = abstract new (...args: never[]) => object;

interface Kind {
  name: string;
  write(value: object): unknown;
}

/** What a store uses where nobody says: JSON, bytes, Date, Map, Set, bigint, and the classes that were registered. */
export class NativeCodec implements Codec {
  private readonly kinds = new Map<unknown, Kind>();
  private readonly readers = new Map<string, (held: any) => unknown>([
    ["date", (held: string) => new Date(held)],
    ["map", (held: [unknown, unknown][]) => new Map(held)],
    ["set", (held: unknown[]) => new Set(held)],
    ["bigint", (held: string) => BigInt(held)],
    ["object", (held: [string, unknown][]) => Object.fromEntries(held)],
  ]);

  /** Makes a class known by a name (its own, if none is given), which stands in what is recorded: don't change it. */
  register<T extends object, Carried>(
    kind: abstract new (...args: never[]) => T,
    how: { name?: string | undefined; write: (value: T) => Carried; read: (carried: Carried) => T },
  ): this {
    const name = how.name ?? kind.name;
    if (this.readers.has(name) && this.kinds.get(kind)?.name !== name) {
      throw misuse(`codec.register: the name '${name}' is taken; give another`);
    }
    this.kinds.set(kind satisfies Class, { name, write: how.write as (value: object) => unknown });
    this.readers.set(name, how.read);
    return this;
  }

  write(value: unknown, place: string): unknown {
    if (isSimple(value)) return value;
    return new Walk(place, (held, walk) => this.special(held, walk)).write(value);
  }

  read(carried: unknown): unknown {
    if (!isObject(carried) || isBytes(carried)) return carried;
    const holder = carried as Record<string, unknown>;
    const keys = Object.keys(holder);
    for (const key of keys) if (isObject(holder[key])) holder[key] = this.read(holder[key]);
    const held = keys.length === 1 ? holder[MARK] : undefined;
    if (!Array.isArray(held) || held.length !== 2 || typeof held[0] !== "string") return carried;
    const read = this.readers.get(held[0]);
    if (!read) throw new Error(`no class '${held[0]}' is registered here with the codec`);
    return read(held[1]);
  }

  private special(value: bigint | object, walk: Walk): unknown {
    if (typeof value === "bigint") return mark("bigint", String(value));
    if (isBytes(value)) return value;
    if (types.isDate(value)) {
      if (Number.isNaN(value.getTime())) throw walk.refusal("is a date without a time");
      return mark("date", value.toISOString());
    }
    if (types.isMap(value)) return mark("map", [...value].map((pair, index) => walk.below(index, pair)));
    if (types.isSet(value)) return mark("set", [...value].map((item, index) => walk.below(index, item)));
    const kind = this.kinds.get(value.constructor);
    if (kind) return mark(kind.name, walk.write(kind.write(value)));
    const keys = Object.keys(value);
    if ((keys.length !== 1 || keys[0] !== MARK) && !holdsBytes(value)) return undefined;
    const members = Object.entries(value).filter(([, held]) => held !== undefined);
    return mark("object", members.map(([key, held]) => [key, walk.below(key, held)]));
  }
}

const mark = (name: string, held: unknown) => ({ [MARK]: [name, held] });
