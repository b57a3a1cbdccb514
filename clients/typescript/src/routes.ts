/** The types of `api`: of each operation of the document what it takes and what it answers. */
import type { FetchOptions } from "openapi-fetch";
import type { RequiredKeysOf, SuccessResponse } from "openapi-typescript-helpers";
import type { Answer } from "./answers.js";
import type { routes } from "./generated/routes.js";
import type { operations } from "./generated/schema.js";

export type RouteName = keyof typeof routes;
type Operation<N extends RouteName> = operations[(typeof routes)[N]["id"]];

/** What a call takes: `{ params: { path, query, header }, body }`, and the options of fetch. */
export type Init<N extends RouteName> = FetchOptions<Operation<N>>;
export type Arguments<N extends RouteName> = RequiredKeysOf<Init<N>> extends never ? [init?: Init<N>] : [init: Init<N>];

/** What a call answers; undefined where there is nothing to say (204). */
export type Data<N extends RouteName> = [SuccessResponse<Operation<N>["responses"]>] extends [never]
  ? undefined
  : SuccessResponse<Operation<N>["responses"]>;

export type Api = { readonly [N in RouteName]: (...args: Arguments<N>) => Promise<Answer<Data<N>>> };

/** The routes that answer pages. */
export type ListName = {
  [N in RouteName]: Operation<N> extends { parameters: { query?: { cursor?: string | null } } } ? N : never;
}[RouteName];
export type Row<N extends ListName> = Data<N> extends readonly (infer T)[] ? T : never;
