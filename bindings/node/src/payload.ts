// Payloads as JSON text. Bytes are Buffers here and {"$base64": "…"} there, at any depth; an object that looks so, or has
// such an object as its only value under that key, is written with one such key more around it.

const MARK = "$base64";

const onlyValue = (value: object): unknown => {
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === MARK ? (value as Record<string, unknown>)[MARK] : undefined;
};

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** A text under the key of bytes, or an object with such a one in it. */
function isMark(value: unknown): value is object {
  let held = value;
  while (isObject(held) && !Array.isArray(held)) held = onlyValue(held);
  return typeof held === "string" && held !== value;
}

/** undefined is null, and what JSON can't say is an error. */
export function toJson(value: unknown): string | null {
  if (!isObject(value)) return value === undefined ? null : (JSON.stringify(value) ?? null);
  const verbatim = new WeakSet<object>();
  function written(this: any, key: string, value: unknown): unknown {
    // Before its toJSON.
    const held = this[key];
    if (ArrayBuffer.isView(held) || held instanceof ArrayBuffer) return mark(bytesOf(held).toString("base64"));
    if (verbatim.has(this) || !isMark(value)) return value;
    return mark(value);
  }
  const mark = (held: string | object) => {
    const made = { [MARK]: held };
    // What is written into it stays as it is.
    for (let at: unknown = made; isObject(at); at = onlyValue(at)) verbatim.add(at);
    return made;
  };
  return JSON.stringify(value, written) ?? null;
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
