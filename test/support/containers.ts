/**
 * What a pass tries in real containers: a share by default, the whole with AGUI_CONTAINERS=all (README, "Tests"). What is
 * left out by default has its mechanism tested without an engine, or by another case that always runs.
 */
export const ALL_CONTAINERS = process.env['AGUI_CONTAINERS'] === 'all'
