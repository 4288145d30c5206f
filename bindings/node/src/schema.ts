// Schemas, of whatever library: the interface of https://standardschema.dev, which zod, valibot, arktype and others have.

import { misuse } from "./errors";

export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What is written under it. */
export type InputOf<S> = S extends StandardSchemaV1<infer Input, any> ? Input : never;
/** What is read by it. */
export type OutputOf<S> = S extends StandardSchemaV1<any, infer Output> ? Output : never;

/** Of a function's arguments: a schema of the whole array, or one for each argument. */
export type ArgsSchema = StandardSchemaV1<any, any> | readonly StandardSchemaV1<any, any>[];

type Tuple<T> = T extends any[] ? T : never;
export type ArgsIn<A> = A extends readonly StandardSchemaV1<any, any>[]
  ? { -readonly [K in keyof A]: InputOf<A[K]> }
  : Tuple<InputOf<A>>;
export type ArgsOut<A> = A extends readonly StandardSchemaV1<any, any>[]
  ? { -readonly [K in keyof A]: OutputOf<A[K]> }
  : Tuple<OutputOf<A>>;

/** What the schema makes of the value. An error is final: no retry would mend it. */
export function parse(schema: StandardSchemaV1<any, any> | undefined, value: unknown, place: string): unknown {
  if (!schema) return value;
  const result = schema["~standard"].validate(value);
  if (result instanceof Promise) {
    // A workflow would wait for something that is not durable.
    result.catch(() => {});
    throw misuse(`${place}: its schema answers with a promise; only those that answer at once are of use here`);
  }
  if (!result.issues) return result.value;
  const issues = result.issues.map(({ message, path }) => {
    const steps = (path ?? []).map((step) => String(typeof step === "object" ? step.key : step));
    return { message, path: steps.join(".") };
  });
  const told = issues.map(({ message, path }) => (path ? `${path}: ${message}` : message)).join("; ");
  throw misuse(`${place}: ${told}`, { issues });
}

export function parseArgs(schema: ArgsSchema | undefined, args: readonly unknown[], place: string): unknown[] {
  if (schema === undefined) return [...args];
  if (isOne(schema)) return parse(schema, args, place) as unknown[];
  if (args.length > schema.length) throw misuse(`${place}: there are ${args.length}, and ${schema.length} are known`);
  return schema.map((one, index) => parse(one, args[index], `${place}[${index}]`));
}

const isOne = (schema: ArgsSchema): schema is StandardSchemaV1<any, any> => "~standard" in schema;

/** What is given as a schema, looked at once. */
export function checkSchema(schema: unknown, place: string): void {
  for (const one of Array.isArray(schema) ? schema : [schema]) {
    if (one === undefined || typeof one?.["~standard"]?.validate === "function") continue;
    throw misuse(`${place}: it is no schema; one has the interface of https://standardschema.dev, as zod's`);
  }
}
