/** The refusal of a request. Its message goes to the client and holds no secret. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number

  constructor(message: string, status = 403) {
    super(message)
    this.status = status
  }
}
