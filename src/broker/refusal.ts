/** Why a request goes no further: said to the client, so it holds no secret. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number

  constructor(message: string, status = 403) {
    super(message)
    this.status = status
  }
}
