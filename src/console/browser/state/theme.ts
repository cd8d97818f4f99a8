export type Theme = 'system' | 'light' | 'dark'

const KEY = 'agui-runner.theme'
const THEMES: readonly Theme[] = ['system', 'light', 'dark']

export function keptTheme(): Theme {
  try {
    const kept = localStorage.getItem(KEY)
    return THEMES.find((theme) => theme === kept) ?? 'system'
  } catch {
    return 'system'
  }
}

export function nextTheme(theme: Theme): Theme {
  return THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system'
}

/** Sets the theme and keeps it for the next visit. `system` leaves it to the browser. */
export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
  try {
    localStorage.setItem(KEY, theme)
  } catch {
    // The browser keeps nothing; the theme holds until the page is left.
  }
}
