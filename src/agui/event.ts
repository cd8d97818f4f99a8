export type { Event as AguiEvent } from '@ag-ui/core'
