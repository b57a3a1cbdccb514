/** A client of the API: `Groundwork` signs in and keeps the tokens; its `api` has a method for each route. */
export type { Answer } from "./answers.js";
export { ApiError, type Fault, SecondFactorNeeded } from "./errors.js";
export type * from "./generated/schema.js";
export { Groundwork, type Options } from "./groundwork.js";
export type { Api, Data, Init, ListName, Row, RouteName } from "./routes.js";
export type { Pair } from "./tokens.js";
