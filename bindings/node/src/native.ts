// The library's functions, as koffi declares them. Handles are numbers here: koffi gives pointers as bigint.

import * as fs from "node:fs";
import * as path from "node:path";
import koffi = require("koffi");
import { declarations } from "./declarations";

export type Handle = bigint;

const SONAME = "libstent.so.0";

/** The package that carries the library for this kind of machine: beside this one, if npm found that it fits. */
function packaged(): string | undefined {
  try {
    return require.resolve(`@stent-dev/stent-linux-${process.arch}-gnu/${SONAME}`);
  } catch {
    return undefined;
  }
}

/** Where the library may be, the first first. What `STENT_LIB_DIR` names is the only place. */
function places(): string[] {
  const given = process.env.STENT_LIB_DIR;
  if (given) return [path.join(given, SONAME)];
  const found = packaged();
  const checkout = path.join(__dirname, "../../../..");
  const built = fs.existsSync(path.join(checkout, "include/stent.h")) ? [path.join(checkout, "target/release", SONAME)] : [];
  // Without a folder it is the loader that looks.
  return [...(found ? [found] : []), ...built, SONAME];
}

function load(): ReturnType<typeof koffi.load> {
  const tried: string[] = [];
  for (const place of places()) {
    // A file that is there and can't be loaded is told of, and none in its place is taken.
    if (place !== SONAME && !fs.existsSync(place)) {
      tried.push(`${place}: there is no such file`);
      continue;
    }
    try {
      return koffi.load(place);
    } catch (why) {
      tried.push(`${place}: ${(why as Error).message}`);
      if (place !== SONAME) break;
    }
  }
  if (!process.env.STENT_LIB_DIR && !packaged()) {
    tried.unshift(`the package @stent-dev/stent-linux-${process.arch}-gnu: it is not installed`);
  }
  const list = tried.map((line) => `\n  ${line}`).join("");
  throw new Error(`Stent's library was not found. Tried:${list}\nSTENT_LIB_DIR names the folder of one that is elsewhere.`);
}

const library = load();
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
