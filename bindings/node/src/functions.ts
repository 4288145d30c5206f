// References to functions and signals: names with the types that belong to them, so that a wrong call does not compile.

import type { Context } from "./context";
import { misuse } from "./errors";
import type { FunctionOptions } from "./options";
import type { ContinueAs } from "./run";
import { type ArgsIn, type ArgsOut, type ArgsSchema, checkSchema, type InputOf, type OutputOf, type StandardSchemaV1 } from "./schema";

/** A function that others call by its name. */
export type Handler = (context: Context, ...args: any[]) => unknown;

/** What comes of a handler's result: undefined arrives as null. */
export type Outcome<T> = Awaited<T> extends infer R ? (R extends ContinueAs ? never : R extends void | undefined ? null : R) : never;

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

/** A function with its handler: what `register` takes. */
export class Definition<Args extends any[] = any[], Result = unknown> extends Reference<Args, Result> {
  /** @internal */
  constructor(
    name: string,
    schemas: Schemas,
    readonly options: FunctionOptions | undefined,
    readonly handler: Handler,
  ) {
    super(name, schemas);
    if (typeof handler !== "function") {
      throw misuse(`the handler of '${name}' is ${shown(handler)}; it must be a function`);
    }
  }
}

type Returned<T> = T | ContinueAs | Promise<T | ContinueAs>;
type None = undefined;

/** The shapes of `define` and `register`. */
export interface Define {
  <Args extends any[], Result>(
    name: string,
    handler: (context: Context, ...args: Args) => Result,
  ): Definition<Args, Outcome<Result>>;
  <Args extends any[], Result>(
    name: string,
    options: FunctionOptions & { args?: None; result?: None },
    handler: (context: Context, ...args: Args) => Result,
  ): Definition<Args, Outcome<Result>>;
  <const A extends ArgsSchema, R extends StandardSchemaV1<any, any>>(
    name: string,
    options: FunctionOptions & { args: A; result: R },
    handler: (context: Context, ...args: ArgsOut<A>) => Returned<InputOf<R>>,
  ): Definition<ArgsIn<A>, OutputOf<R>>;
  <const A extends ArgsSchema, Result>(
    name: string,
    options: FunctionOptions & { args: A; result?: None },
    handler: (context: Context, ...args: ArgsOut<A>) => Result,
  ): Definition<ArgsIn<A>, Outcome<Result>>;
  <Args extends any[], R extends StandardSchemaV1<any, any>>(
    name: string,
    options: FunctionOptions & { args?: None; result: R },
    handler: (context: Context, ...args: Args) => Returned<InputOf<R>>,
  ): Definition<Args, OutputOf<R>>;
}

/** A function with its handler, to be registered, and to be called by what this gives. */
export const define: Define = (name: string, ...rest: [Handler] | [FunctionOptions & Schemas, Handler]) => {
  const [given, handler] = rest.length === 1 ? [undefined, rest[0]] : rest;
  if (rest.length > 1 && (typeof given !== "object" || given === null)) {
    throw misuse(`the options of '${name}' are ${shown(given)}; they must be an object`);
  }
  const { args, result, ...options } = given ?? {};
  return new Definition<any, any>(name, { args, result }, given && options, handler as Handler);
};

/** A function that others have the handler of, in whatever language: its name, with types that are your word, or schemas. */
export function reference<Args extends any[] = any[], Result = unknown>(name: string): Reference<Args, Result>;
export function reference<const A extends ArgsSchema, R extends StandardSchemaV1<any, any>>(
  name: string,
  schemas: { args: A; result: R },
): Reference<ArgsIn<A>, OutputOf<R>>;
export function reference<const A extends ArgsSchema>(name: string, schemas: { args: A }): Reference<ArgsIn<A>>;
export function reference<R extends StandardSchemaV1<any, any>>(
  name: string,
  schemas: { result: R },
): Reference<any[], OutputOf<R>>;
export function reference(name: string, schemas?: Schemas): Reference<any, any> {
  return new Reference(name, schemas);
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

export function signal<T = unknown>(name: string): SignalReference<T>;
export function signal<S extends StandardSchemaV1<any, any>>(name: string, schema: S): SignalReference<InputOf<S>, OutputOf<S>>;
export function signal(name: string, schema?: StandardSchemaV1<any, any>): SignalReference<any, any> {
  return new SignalReference(name, schema);
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
