/** Elements. Text goes in as text nodes only: nothing that a server or a link says is ever parsed as HTML. */

export type Child = Node | string | null
type Attributes = Readonly<Record<string, string | number | boolean>>

/** An element with attributes (true: present without a value; false: absent) and children (null: none). */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  setAttributes(element, attributes)
  element.append(...children.filter((child) => child !== null))
  return element
}

/** A button that does something here; it never submits a form. */
export function button(label: Child, attributes: Attributes, press: () => void): HTMLButtonElement {
  const element = el('button', { type: 'button', ...attributes }, label)
  element.addEventListener('click', press)
  return element
}

const SVG = 'http://www.w3.org/2000/svg'

/** A drawing of 24 × 24 made of paths. It says nothing to a screen reader: the words beside it do. */
export function drawing(paths: readonly string[]): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg')
  setAttributes(svg, { class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' })
  for (const d of paths) {
    const path = document.createElementNS(SVG, 'path')
    path.setAttribute('d', d)
    svg.append(path)
  }
  return svg
}

let idsGiven = 0

/** An id for labels and descriptions, unique on the page. */
export function freshId(prefix: string): string {
  idsGiven++
  return `${prefix}-${idsGiven}`
}

/** The element of index.html with this id. */
export function elementOf(id: string): HTMLElement {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`finding #${id} in the page`)
  return element
}

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, '')
    else if (value !== false) element.setAttribute(name, String(value))
  }
}
