// @peculiar/x509 reaches tsyringe, which refuses to load without a Reflect metadata polyfill. Nothing on our
// path reads metadata (no decorators are emitted), so three functions that know nothing are enough, and the
// whole polyfill need not be a dependency. Must be imported before @peculiar/x509.
const nothing = (): undefined => undefined

for (const name of ['getMetadata', 'getOwnMetadata', 'defineMetadata']) {
  if (!(name in Reflect))
    Object.defineProperty(Reflect, name, { value: nothing, configurable: true, writable: true })
}
