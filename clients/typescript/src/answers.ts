/** What a call answers: the data, and what its headers say of it. */
export class Answer<T> {
  constructor(
    readonly data: T,
    readonly response: Response,
  ) {}

  /** The row's version, for `If-Match`. */
  get etag(): string | undefined {
    return this.response.headers.get("ETag") ?? undefined;
  }

  /** Where the next page of a list begins; undefined at the end. */
  get nextCursor(): string | undefined {
    const url = /<([^>]*)>\s*;\s*rel="next"/.exec(this.response.headers.get("Link") ?? "")?.[1];
    return url === undefined ? undefined : (new URL(url, this.response.url).searchParams.get("cursor") ?? undefined);
  }

  /** How many rows there are in all, of a list with `count: true`. */
  get total(): number | undefined {
    const total = this.response.headers.get("X-Total-Count");
    return total === null ? undefined : Number(total);
  }
}
