import type { Page } from 'playwright-core'
import { z } from 'zod'

/** Each text of the page of which a part is out of sight for good: no ellipsis says so, and it is no code to scroll in. */
export async function cutTexts(page: Page): Promise<string[]> {
  return z.array(z.string()).parse(await page.evaluate(FIND))
}

const FIND = `(() => {
  const cut = new Set()
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let text = texts.nextNode(); text !== null; text = texts.nextNode()) {
    if (text.nodeValue.trim() === '' || !text.parentElement.checkVisibility()) continue
    const range = document.createRange()
    range.selectNodeContents(text)
    for (const { left, right } of range.getClientRects())
      for (let around = text.parentElement; around !== document.body; around = around.parentElement) {
        if (around.matches('pre, select, .table, .line-window, .hidden, h1')) break
        const { overflowX, textOverflow } = getComputedStyle(around)
        const box = around.getBoundingClientRect()
        if (overflowX === 'visible' || (right < box.right + 2 && left > box.left - 2)) continue
        if (textOverflow !== 'ellipsis') cut.add(text.nodeValue.slice(0, 60))
        break
      }
  }
  return [...cut]
})()`
