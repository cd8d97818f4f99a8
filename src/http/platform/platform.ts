import type { FastifyInstance } from 'fastify'
import { type ContentRoutesOptions, contentRoutes } from './content.ts'
import { feedbackRoutes } from './feedback.ts'
import { type GitRoutesOptions, gitRoutes } from './git.ts'
import { type ShownFileRoutesOptions, shownFileRoutes } from './shown-files.ts'
import { type TaskRoutesOptions, taskRoutes } from './tasks.ts'
import { type WorkspaceFileRoutesOptions, workspaceFileRoutes } from './workspace-files.ts'

export interface PlatformRoutesOptions
  extends ContentRoutesOptions,
    WorkspaceFileRoutesOptions,
    GitRoutesOptions,
    ShownFileRoutesOptions,
    TaskRoutesOptions {}

/** Registers the routes of the control plane and its API server beside runs and events, under both sets of paths. */
export function platformRoutes(options: PlatformRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    await app.register(contentRoutes(options))
    await app.register(workspaceFileRoutes(options))
    await app.register(gitRoutes(options))
    await app.register(shownFileRoutes(options))
    await app.register(taskRoutes(options))
    await app.register(feedbackRoutes())
  }
}
