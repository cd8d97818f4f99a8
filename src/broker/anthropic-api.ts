import { addressOf } from '../model-route/credentials.ts'
import type { RequestLine } from './door.ts'
import type { ModelApi, Passage } from './model-door.ts'

const MODEL_LIST = /^\/v1\/models(?:\/[A-Za-z0-9][\w.:@-]*)?$/
const ASKING = ['/v1/messages', '/v1/messages/count_tokens']

/** Anthropic's own API, or a company's gateway that speaks it. */
export function anthropicApi(baseUrl: string, credential: Readonly<Record<string, string>>): ModelApi {
  return {
    admit({ method, path, query }: RequestLine): Passage | undefined {
      const isAsking = method === 'POST' && ASKING.includes(path)
      const isListing = method === 'GET' && MODEL_LIST.test(path)
      if ((!isAsking && !isListing) || (query !== '' && query !== 'beta=true')) return undefined
      const { url, basic } = addressOf(baseUrl, path)
      if (query !== '') url.search = url.search === '' ? query : `${url.search}&${query}`
      const { 'anthropic-beta': beta, ...rest } = { ...basic, ...credential }
      return {
        url,
        isMetered: path === '/v1/messages',
        modelIn: isAsking ? 'body' : undefined,
        authorize: (headers) => Promise.resolve({ ...headers, ...rest, ...withBeta(headers, beta) }),
      }
    },
  }
}

/** Returns the client's list of betas with the credential's own added. */
function withBeta(
  headers: Readonly<Record<string, string>>,
  beta: string | undefined,
): Record<string, string> {
  if (beta === undefined) return {}
  const named = (headers['anthropic-beta'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  return { 'anthropic-beta': [...new Set([...named, ...beta.split(',')])].join(',') }
}
