// The library's functions, as koffi declares them. Handles are numbers here: koffi gives pointers as bigint.

import * as fs from "node:fs";
import * as path from "node:path";
import koffi = require("koffi");
import { declarations } from "./declarations";

export type Handle = bigint;

/** `STENT_LIB_DIR` names the folder of the library; else it is this repository's, else the loader's. */
function find(): string {
  const given = process.env.STENT_LIB_DIR;
  if (given) return path.join(given, "libstent.so.0");
  const built = path.join(__dirname, "../../../../target/release/libstent.so.0");
  return fs.existsSync(built) ? built : "libstent.so.0";
}

const library = koffi.load(find());
const text = koffi.disposable("stent_text", "str", library.func("void stent_free(void *)"));
const textOut = koffi.out(koffi.pointer(text));

export type NativeFunction = ReturnType<typeof library.func>;

/** All of the header's functions. A text that one gives is copied, and freed. */
export const native = Object.fromEntries(
  Object.entries(declarations).map(([name, [symbol, result, ...parameters]]) => {
    const types = parameters.map((type) => (type === "text_out" ? textOut : type));
    return [name, library.func(symbol, result, types)];
  }),
) as Record<keyof typeof declarations, NativeFunction>;

const dup = koffi.load(null).func("int dup(int)");

/** A descriptor of one's own for what is behind another: a socket closes what it watches. */
export function duplicate(descriptor: number): number {
  const copy: number = dup(descriptor);
  if (copy < 0) throw new Error("dup: the process has no descriptors left");
  return copy;
}

/** Everything that the library knows, as `stent_describe` tells it. */
export function describe(): Description {
  return JSON.parse(native.describe());
}

export interface Description {
  statuses: { name: string; constant: string; code: number; doc: string }[];
  operations: { name: string }[];
  submissions: { name: string; request: { name: string }[] }[];
  options: { name: string; fields: { name: string }[] }[];
  events: { name: string }[];
}
