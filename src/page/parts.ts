/** The pieces that views are made of. */
import { type Child, el } from './dom.ts'
import type { Failure } from './failure.ts'
import { type IconName, icon } from './icons.ts'
import type { Notice } from './page.ts'
import { wordsFor } from './words.ts'

/** Text from outside: isolated, so that its direction cannot reorder the words around it. */
export function outside(text: string): HTMLElement {
  return el('bdi', {}, text)
}

export function card(...children: Child[]): HTMLElement {
  return el('div', { class: 'card' }, ...children)
}

/** A row of buttons. */
export function actions(...buttons: Child[]): HTMLElement {
  return el('div', { class: 'actions' }, ...buttons)
}

/** Words of a button with a drawing before them. */
export function iconLabel(name: IconName, text: string): HTMLElement {
  return el('span', { class: 'icon-label' }, icon(name), text)
}

/** A list of names and values. */
export function facts(...rows: [string, Child][]): HTMLElement {
  const list = el('dl', { class: 'facts' })
  for (const [name, value] of rows) list.append(el('div', {}, el('dt', {}, name), el('dd', {}, value)))
  return list
}

/** Role names, side by side. */
export function roleChips(names: readonly string[]): HTMLElement {
  return el('ul', { class: 'chips' }, ...names.map((name) => el('li', { class: 'chip' }, outside(name))))
}

export function noticeBox({ tone, title, text }: Notice): HTMLElement {
  const words = el('div', {}, el('p', { class: 'box-title' }, title), text === '' ? null : el('p', {}, text))
  return el('div', { class: `box ${tone}` }, icon(tone === 'good' ? 'check' : 'warning'), words)
}

/** What a failure says at the top of a view. */
export function noticeOf(failure: Failure): Notice {
  return { tone: 'bad', ...wordsFor(failure) }
}

/** A place for failures beside what failed. Screen readers say what appears in it. */
export function reportArea(): HTMLElement {
  return el('div', { class: 'report', role: 'alert' })
}

/** Puts a failure's words into a report area. */
export function report(area: HTMLElement, failure: Failure): void {
  const box = noticeBox(noticeOf(failure))
  const { code, check } = failure
  if (check !== null)
    box.lastElementChild?.append(el('p', { class: 'detail' }, 'For your administrator: ', el('code', {}, `${code}, ${check}`)))
  area.replaceChildren(box)
}
