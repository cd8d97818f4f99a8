import { RunnerError } from '../errors.ts'
import { EXACT_IMAGE, isExactImage } from '../exact-image.ts'
import { createArguments, networkArguments } from './arguments.ts'
import type { Engine } from './engine.ts'
import type { Isolation, Place, PlaceRequest } from './isolation.ts'
import { containerName } from './plan.ts'

/** Isolation by containers of docker or podman. */
export class ContainerIsolation implements Isolation {
  readonly kind = 'container'
  readonly image: string
  readonly #engine: Engine

  constructor(engine: Engine, image: string) {
    this.#engine = engine
    this.image = image
  }

  async need(signal: AbortSignal): Promise<void> {
    // Before it is looked for, which may be a pull of minutes.
    if (!isExactImage(this.image))
      throw new RunnerError('config_invalid', `--image ${JSON.stringify(this.image)}: give ${EXACT_IMAGE}.`)
    await this.#engine.needImage(this.image, signal)
  }

  place(request: PlaceRequest): Place {
    return new ContainerPlace(this.#engine, request)
  }
}

class ContainerPlace implements Place {
  readonly #engine: Engine
  readonly #request: PlaceRequest
  readonly #name: string

  constructor(engine: Engine, request: PlaceRequest) {
    this.#engine = engine
    this.#request = request
    this.#name = containerName(request.plan.run)
  }

  get commands(): string[][] {
    return this.#arguments().map((args) => [this.#engine.facts.kind, ...args])
  }

  /** Creates the container before it starts it, so that the clean-up always has a name. */
  async start(): Promise<void> {
    for (const args of this.#arguments()) await this.#engine.run(args)
  }

  #arguments(): string[][] {
    const { plan, launcher } = this.#request
    const network = networkArguments(plan, launcher)
    const create = createArguments(plan, this.#engine.facts, launcher)
    return [...(network === undefined ? [] : [network]), create, ['start', this.#name]]
  }

  async ended(signal: AbortSignal): Promise<string | undefined> {
    const code = await this.#engine.wait(this.#name, signal)
    if (signal.aborted) return undefined
    return (await this.#engine.wasOutOfMemory(this.#name))
      ? 'ran out of memory (raise --memory)'
      : `ended by itself (${code ?? 'it is gone'})`
  }

  logs(): Promise<string> {
    return this.#engine.logs(this.#name)
  }

  async stop(graceSeconds: number): Promise<void> {
    await this.#engine.tried(['stop', '--time', String(graceSeconds), this.#name])
  }

  async kill(): Promise<void> {
    await this.#engine.tried(['kill', this.#name])
  }

  async remove(): Promise<void> {
    const { network } = this.#request.plan
    await this.#engine.remove({ kind: 'container', name: this.#name })
    if (network.kind === 'own') await this.#engine.remove({ kind: 'network', name: network.name })
  }
}
