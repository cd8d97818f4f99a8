/** `forwardedProps.claude` of a run (docs/events.md). The runner's own setting holds for an absent member. */
export interface RunChoices {
  model?: string
  permissionMode?: string
}
