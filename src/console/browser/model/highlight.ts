// Loaded on demand, as a file of its own: the one part of the page that first paint does not need and that is large.
import bash from 'highlight.js/lib/languages/bash'
import cpp from 'highlight.js/lib/languages/cpp'
import css from 'highlight.js/lib/languages/css'
import diff from 'highlight.js/lib/languages/diff'
import dockerfile from 'highlight.js/lib/languages/dockerfile'
import go from 'highlight.js/lib/languages/go'
import ini from 'highlight.js/lib/languages/ini'
import java from 'highlight.js/lib/languages/java'
import json from 'highlight.js/lib/languages/json'
import makefile from 'highlight.js/lib/languages/makefile'
import markdown from 'highlight.js/lib/languages/markdown'
import python from 'highlight.js/lib/languages/python'
import ruby from 'highlight.js/lib/languages/ruby'
import rust from 'highlight.js/lib/languages/rust'
import sql from 'highlight.js/lib/languages/sql'
import typescript from 'highlight.js/lib/languages/typescript'
import xml from 'highlight.js/lib/languages/xml'
import yaml from 'highlight.js/lib/languages/yaml'
import { createLowlight } from 'lowlight'

/** What agents write most. Aliases (`ts`, `sh`, `html` …) come with them. */
const lowlight = createLowlight({
  ...{ bash, cpp, css, diff, dockerfile, go, ini, java, json, makefile },
  ...{ markdown, python, ruby, rust, sql, typescript, xml, yaml },
})

export type Highlighted = ReturnType<typeof lowlight.highlight>['children'][number]

/** The code as a tree of coloured spans; undefined when nothing is known of its language. */
export function highlight(code: string, language: string): Highlighted[] | undefined {
  return lowlight.registered(language) ? lowlight.highlight(language, code).children : undefined
}
