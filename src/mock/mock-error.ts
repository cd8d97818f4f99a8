/** The mock gateway cannot do what it was given: its script is wrong, or its port is taken. Never crosses the wire. */
export class MockError extends Error {
  override readonly name = 'MockError'
}
