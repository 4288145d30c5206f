// Names of functions and signals with the types that belong to them; what is asked for by either is made one of these.

import { misuse } from "./errors";
import { type ArgsSchema, checkSchema, type StandardSchemaV1 } from "./schema";

export interface Schemas {
  args?: ArgsSchema | undefined;
  result?: StandardSchemaV1<any, any> | undefined;
}

/** A function that is called: its name, the types of its arguments and of its result, and their schemas if it has some. */
export class Reference<Args extends any[] = any[], Result = unknown> {
  /** Types alone; there is no such member. */
  declare protected readonly types: (...args: Args) => Result;

  /** @internal */
  constructor(
    readonly name: string,
    readonly schemas: Schemas = {},
  ) {
    if (typeof name !== "string") throw misuse(`the name of a function is ${shown(name)}; it must be a string`);
    checkSchema(schemas.args, `'${name}': args`);
    checkSchema(schemas.result, `'${name}': result`);
  }
}

/** A signal: its name, with the type of what it carries. */
export class SignalReference<Sent = unknown, Taken = Sent> {
  /** Types alone; there is no such member. */
  declare protected readonly types: (sent: Sent) => Taken;

  /** @internal */
  constructor(
    readonly name: string,
    readonly schema?: StandardSchemaV1<any, any> | undefined,
  ) {
    checkSchema(schema, `the signal '${name}'`);
  }
}

/** A function by its reference, or by its name alone, of which no types are known. */
export type Callee = string | Reference<any, any>;

/** As a reference; a mistake such as a handler in its place is told at once. */
export function referenceOf(callee: unknown, doing: string): Reference<any, any> {
  if (callee instanceof Reference) return callee;
  if (typeof callee === "string") return new Reference(callee);
  throw misuse(`${doing}: ${shown(callee)} is given as the function; it must be a name, or what \`define\` or \`reference\` gives`);
}

export function signalOf(named: unknown, doing: string): SignalReference<any, any> {
  if (named instanceof SignalReference) return named;
  if (typeof named === "string") return new SignalReference(named);
  throw misuse(`${doing}: ${shown(named)} is given as the signal; it must be a name, or what \`signal\` gives`);
}

/** Arguments and options, of which the first may be left away where no arguments are needed. */
export type Rest<Args extends any[], Options> = [] extends Args
  ? [args?: Readonly<Args>, options?: Options | undefined]
  : [args: Readonly<Args>, options?: Options | undefined];

/** Something that was given in place of something else, in an error's words. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "function") return value.name ? `the function '${value.name}'` : "a function";
  if (typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  return JSON.stringify(value) ?? typeof value;
}
