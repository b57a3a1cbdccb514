/** The tokens of a session, sent with each request and renewed when they are refused. */
export interface Pair {
  access_token: string;
  refresh_token: string;
}

export type Send = (request: Request) => Promise<Response>;

export class Tokens {
  pair: Pair | undefined;
  #renewing: Promise<void> | undefined;

  constructor(
    private readonly baseUrl: string,
    private readonly apiKey: string | undefined,
    private readonly send: Send,
  ) {}

  /** Sends the request as the one who is signed in, a second time when the access token had expired. */
  readonly sendSigned: Send = async (request) => {
    const again = request.clone();
    const sent = this.#sign(request);
    const response = await this.send(request);
    if (response.status !== 401 || this.pair === undefined || sent === undefined) return response;
    await this.#renew(sent);
    return this.#sign(again) === undefined ? response : this.send(again);
  };

  #sign(request: Request): string | undefined {
    const token = this.pair?.access_token ?? this.apiKey;
    if (token !== undefined) request.headers.set("Authorization", `Bearer ${token}`);
    return token;
  }

  /** A refresh token is good once, and one that is sent again ends its session: of many requests one renews. */
  async #renew(sent: string): Promise<void> {
    if (this.pair?.access_token !== sent) return;
    this.#renewing ??= this.#refresh(this.pair).finally(() => (this.#renewing = undefined));
    await this.#renewing;
  }

  async #refresh(pair: Pair): Promise<void> {
    const response = await this.send(
      new Request(`${this.baseUrl}/api/v1/auth/refresh`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ refresh_token: pair.refresh_token }),
      }),
    );
    // With a 401 the session has ended; anything else, a 503 say, leaves the tokens for another try.
    if (response.ok) this.pair = (await response.json()) as Pair;
    else if (response.status === 401) this.pair = undefined;
  }
}
