import type { components } from "./generated/schema.js";

/** One thing that is wrong with what was sent (422). */
export type Fault = components["schemas"]["ValidationError"];

/** An answer of 400 or more: its status, and what it says. `faults` has the fields of a 422. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    readonly detail: string,
    readonly faults: Fault[],
    readonly response: Response,
  ) {
    super(`${status} ${detail}`);
  }

  static of(response: Response, told: unknown): ApiError {
    const detail = typeof told === "object" && told !== null && "detail" in told ? told.detail : undefined;
    if (Array.isArray(detail)) {
      const faults: Fault[] = detail;
      return new ApiError(response.status, faults.map((fault) => fault.msg).join("; "), faults, response);
    }
    // What has no detail is no answer of the API: a proxy's, say.
    return new ApiError(response.status, typeof detail === "string" ? detail : response.statusText, [], response);
  }

  /** Seconds, with 429 and 503. */
  get retryAfter(): number | undefined {
    const seconds = this.response.headers.get("Retry-After");
    return seconds !== null && /^\d+$/.test(seconds) ? Number(seconds) : undefined;
  }
}

/** The password was right, and the account has a second factor: sign in with a `code`. */
export class SecondFactorNeeded extends Error {
  override readonly name = "SecondFactorNeeded";
}
