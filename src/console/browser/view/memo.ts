import { Component, type ComponentChild, type ComponentType, h } from 'preact'

/**
 * The component, which is drawn again only when one of its properties is another. A mutable property is passed together
 * with its `rev`.
 */
export function memo<P extends object>(Drawn: ComponentType<P>): ComponentType<P> {
  return class Memo extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      const [before, after] = [Object.entries(this.props), Object.entries(next)]
      const known = new Map(before)
      return before.length !== after.length || after.some(([name, value]) => known.get(name) !== value)
    }

    override render(): ComponentChild {
      return h(Drawn, this.props)
    }
  }
}
