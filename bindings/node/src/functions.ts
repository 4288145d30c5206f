// Functions with their handlers, and references to functions and signals, so that a wrong call does not compile.

import type { Context } from "./context";
import { misuse } from "./errors";
import type { BatchItem } from "./item";
import { type BatchOptions, type FunctionOptions, milliseconds } from "./options";
import { Reference, type Schemas, shown, SignalReference } from "./references";
import type { ContinueAs, Snooze } from "./run";
import { type ArgsIn, type ArgsOut, type ArgsSchema, type InputOf, type OutputOf, type StandardSchemaV1 } from "./schema";

/** A function that others call by its name. */
export type Handler = (context: Context, ...args: any[]) => unknown;

/** What comes of a handler's result: undefined arrives as null. */
export type Outcome<T> = Awaited<T> extends infer R ? (R extends ContinueAs | Snooze ? never : R extends void | undefined ? null : R) : never;

/** A function with its handler: what `register` takes. */
export class Definition<Args extends any[] = any[], Result = unknown> extends Reference<Args, Result> {
  /** @internal */
  constructor(
    name: string,
    schemas: Schemas,
    readonly options: FunctionOptions | undefined,
    /** @internal */
    readonly handler: (...given: any[]) => unknown,
  ) {
    super(name, schemas);
    if (typeof handler !== "function") {
      throw misuse(`the handler of '${name}' is ${shown(handler)}; it must be a function`);
    }
  }
}

const SIZE_MAX = 10_000;
const WAIT_MAX = 3_600_000;

/** A function whose handler takes many tasks in one call: made by `batch`, for `register`. */
export class BatchDefinition<Args extends any[] = any[], Result = unknown> extends Definition<Args, Result> {
  /** @internal */
  readonly size: number;
  /** @internal In milliseconds. */
  readonly wait: number;

  /** @internal */
  constructor(name: string, schemas: Schemas, options: FunctionOptions, how: BatchOptions, handler: (...given: any[]) => unknown) {
    super(name, schemas, options, handler);
    const { size = 100, wait = 0 } = how;
    this.size = size;
    this.wait = milliseconds(wait);
    if (!Number.isInteger(size) || size < 1 || size > SIZE_MAX) {
      throw misuse(`'${name}': size is ${shown(size)}; it must be from 1 to ${SIZE_MAX}`);
    }
    if (!(this.wait >= 0 && this.wait <= WAIT_MAX)) {
      throw misuse(`'${name}': wait is ${shown(wait)}; it must be a duration of at most an hour, such as "50ms"`);
    }
  }
}

type Returned<T> = T | ContinueAs | Snooze | Promise<T | ContinueAs | Snooze>;
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

/** An outcome for each item: its value, the error it failed with, or a `Snooze`; or a promise of it. */
type Answers<T> = readonly T[] | Promise<readonly T[]>;
type OneOf<T> = T | Error | Snooze | Promise<T | Error | Snooze>;
type OutcomeOf<T> = Outcome<Exclude<Awaited<T>, Error>>;
type Gathered = FunctionOptions & BatchOptions;

/** The shapes of `batch`. */
export interface DefineBatch {
  <Args extends any[], Result>(
    name: string,
    options: Gathered & { args?: None; result?: None },
    handler: (items: BatchItem<Args>[]) => Answers<Result>,
  ): BatchDefinition<Args, OutcomeOf<Result>>;
  <const A extends ArgsSchema, R extends StandardSchemaV1<any, any>>(
    name: string,
    options: Gathered & { args: A; result: R },
    handler: (items: BatchItem<ArgsOut<A>>[]) => Answers<OneOf<InputOf<R>>>,
  ): BatchDefinition<ArgsIn<A>, OutputOf<R>>;
  <const A extends ArgsSchema, Result>(
    name: string,
    options: Gathered & { args: A; result?: None },
    handler: (items: BatchItem<ArgsOut<A>>[]) => Answers<Result>,
  ): BatchDefinition<ArgsIn<A>, OutcomeOf<Result>>;
  <Args extends any[], R extends StandardSchemaV1<any, any>>(
    name: string,
    options: Gathered & { args?: None; result: R },
    handler: (items: BatchItem<Args>[]) => Answers<OneOf<InputOf<R>>>,
  ): BatchDefinition<Args, OutputOf<R>>;
}

/**
 * A function whose handler takes many tasks in one call, for what costs as much for a hundred rows as for one. It answers with
 * an array: for each item its value, or the error it failed with. What the call throws counts for each of its tasks.
 */
export const batch: DefineBatch = (name: string, given: Gathered & Schemas, handler: (items: any[]) => unknown) => {
  if (typeof given !== "object" || given === null) {
    throw misuse(`the options of '${name}' are ${shown(given)}; they must be an object`);
  }
  const { args, result, size, wait, ...options } = given;
  return new BatchDefinition<any, any>(name, { args, result }, options, { size, wait }, handler);
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

export function signal<T = unknown>(name: string): SignalReference<T>;
export function signal<S extends StandardSchemaV1<any, any>>(name: string, schema: S): SignalReference<InputOf<S>, OutputOf<S>>;
export function signal(name: string, schema?: StandardSchemaV1<any, any>): SignalReference<any, any> {
  return new SignalReference(name, schema);
}
