// Payloads as JSON text. Bytes are Buffers here and {"$base64": "…"} there, at any depth; an object that looks so, or has
// such an object as its only value under that key, is written with one such key more around it.

import { type InvalidError, misuse } from "./errors";

const MARK = "$base64";

/** A member that is undefined is as good as none. */
const onlyValue = (value: object): unknown => {
  const keys = Object.keys(value);
  if (!keys.includes(MARK)) return undefined;
  const members = value as Record<string, unknown>;
  return keys.every((key) => key === MARK || members[key] === undefined) ? members[MARK] : undefined;
};

export const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** A text under the key of bytes, or an object with such a one in it. */
function isMark(value: unknown): value is object {
  let held = value;
  while (isObject(held) && !Array.isArray(held)) held = onlyValue(held);
  return typeof held === "string" && held !== value;
}

/** A plain object with bytes alone under the key of bytes, which JSON has no form for. */
export function holdsBytes(value: object): boolean {
  return isBytes(onlyValue(value)) && kindOf(value) === null && typeof (value as { toJSON?: unknown }).toJSON !== "function";
}

/** Writes a value as what JSON has, and says where it can't. */
export class Walk {
  private readonly path: (string | number)[] = [];
  private readonly above: object[] = [];

  constructor(
    private readonly place: string,
    /** What stands for a bigint or an object that is not written as it is; undefined: it is. */
    private readonly special: (value: bigint | object, walk: Walk) => unknown,
  ) {}

  /** The same value, if nothing in it has to change. */
  write(value: unknown): unknown {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        if (!Number.isFinite(value)) throw this.refusal(`is ${value}, which JSON can't say`);
        return value;
      case "undefined":
        throw this.refusal("is undefined, which would come back as null: write null");
      case "bigint": {
        const made = this.special(value, this);
        if (made === undefined) throw this.refusal("is a bigint, which JSON can't say");
        return made;
      }
      case "function":
      case "symbol":
        throw this.refusal(`is a ${typeof value}`);
      case "object":
        return value === null ? null : this.object(value);
    }
  }

  /** What stands under a key, or an index. */
  below(step: string | number, value: unknown): unknown {
    this.path.push(step);
    const made = this.write(value);
    this.path.pop();
    return made;
  }

  refusal(why: string): InvalidError {
    const steps = this.path.map((step) => (/^[A-Za-z_$][\w$]*$/.test(`${step}`) ? `.${step}` : `[${JSON.stringify(step)}]`));
    const path = steps.join("");
    return misuse(`${this.place}${path && ": "}${path.replace(/^\./, "")} ${why}`, { path });
  }

  private object(value: object): unknown {
    if (this.above.includes(value)) throw this.refusal("holds itself");
    this.above.push(value);
    const made = this.special(value, this) ?? (Array.isArray(value) ? this.elements(value) : this.members(value));
    this.above.pop();
    return made;
  }

  private elements(value: unknown[]): unknown[] {
    let copy: unknown[] | undefined;
    for (let index = 0; index < value.length; index++) {
      const made = this.below(index, value[index]);
      if (made !== value[index]) (copy ??= [...value])[index] = made;
    }
    return copy ?? value;
  }

  /** A member that is undefined is as good as none. */
  private members(value: object): unknown {
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === "function") return this.write(toJSON.call(value, String(this.path.at(-1) ?? "")));
    const kind = kindOf(value);
    if (kind === "Promise") throw this.refusal("is a promise: await it first");
    if (kind) throw this.refusal(`is an instance of ${kind}, which the codec does not know: register it, or make it plain`);
    const changed = new Map<string, unknown>();
    for (const [key, held] of Object.entries(value)) {
      if (held === undefined) continue;
      const made = this.below(key, held);
      if (made !== held) changed.set(key, made);
    }
    if (changed.size === 0) return value;
    return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, changed.has(key) ? changed.get(key) : held]));
  }
}

/** The name of an object's class; none of plain ones, from whatever realm. */
function kindOf(value: object): string | null {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return null;
  return prototype.constructor?.name || "a class without a name";
}

/** Most results are: nothing has to be looked for in them. */
export const isSimple = (value: unknown): boolean =>
  value === null || typeof value === "string" || typeof value === "boolean" || Number.isInteger(value);

export const isBytes = (value: unknown): value is ArrayBufferView | ArrayBuffer =>
  ArrayBuffer.isView(value) || value instanceof ArrayBuffer;

function marked(value: bigint | object, walk: Walk): unknown {
  if (isBytes(value)) return { [MARK]: bytesOf(value).toString("base64") };
  // What is in a mark stays as it is.
  if (isMark(value)) return { [MARK]: value };
  // With one key more around them they would be an object that looks so.
  if (typeof value === "object" && holdsBytes(value)) throw walk.refusal(`has bytes alone under "${MARK}"; give them another key`);
  return undefined;
}

/** undefined is null, and what JSON can't say is an error that tells where it stands. */
export function toJson(value: unknown, place = "a value"): string | null {
  if (value === undefined) return null;
  return JSON.stringify(isSimple(value) ? value : new Walk(place, marked).write(value));
}

const bytesOf = (held: ArrayBufferView | ArrayBuffer): Buffer =>
  held instanceof ArrayBuffer ? Buffer.from(held) : Buffer.from(held.buffer, held.byteOffset, held.byteLength);

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function fromJson(text: string): any {
  const value = JSON.parse(text);
  if (!text.includes(MARK)) return value;
  const top = { value };
  const left: any[] = [top];
  while (left.length > 0) {
    const holder = left.pop();
    for (const key of Object.keys(holder)) {
      const item = holder[key];
      if (!isObject(item)) continue;
      const held = Array.isArray(item) ? undefined : onlyValue(item);
      if (typeof held === "string" && BASE64.test(held)) holder[key] = Buffer.from(held, "base64");
      else if (isMark(held)) holder[key] = held;
      else left.push(item);
    }
  }
  return top.value;
}
