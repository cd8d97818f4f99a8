import type { FastifyInstance } from 'fastify'
import { about } from '../document/about.ts'

export interface MetricsRoutesOptions {
  metrics(): Promise<{ contentType: string; text: string }>
}

export function metricsRoutes({ metrics }: MetricsRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get(
      '/metrics',
      about(() => ({
        tag: 'server',
        summary: 'Metrics for Prometheus.',
        answers: { 200: { says: "Prometheus' text form.", media: ['text/plain'] } },
      })),
      async (_request, reply) => {
        const { contentType, text } = await metrics()
        return reply.type(contentType).send(text)
      },
    )
  }
}
