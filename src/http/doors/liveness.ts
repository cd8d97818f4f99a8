/** The paths of the liveness probe. They are open to everybody and only say that the process serves. */
export const LIVENESS_PATHS: readonly string[] = ['/health', '/healthz']

export function liveness(sessionId: string | undefined): { status: 'healthy'; session_id: string | null } {
  return { status: 'healthy', session_id: sessionId ?? null }
}
