/** Error of the mock gateway: its script is wrong, or its port is taken. Never sent to a client. */
export class MockError extends Error {
  override readonly name = 'MockError'
}
