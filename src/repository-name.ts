const NAME = /^[a-z0-9][\w.-]*\/(?!\.{1,2}$)[\w.-]+(?<!\.git)$/i

/** `owner/name`, as GitHub has it: a name may begin with a point or a hyphen, and none ends with `.git`. */
export function isRepositoryName(text: string): boolean {
  return NAME.test(text)
}
