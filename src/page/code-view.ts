/** The code of a terminal that has no browser: typed here, then judged like any other request. */
import type { PersonView } from '../core/people/people.ts'
import { call } from './api.ts'
import { readCode } from './code.ts'
import { textField } from './dialog.ts'
import { button, el } from './dom.ts'
import { endorseView } from './endorse-view.ts'
import type { Page, View } from './page.ts'
import { actions, card, noticeBox, reportArea } from './parts.ts'
import { runTask, type TaskContext } from './task.ts'

/** Asks for the code. */
export function codeView(page: Page, person: PersonView): View {
  const context: TaskContext = { page, place: { kind: 'code' }, area: reportArea() }
  const field = textField({
    label: 'Code from your terminal',
    value: '',
    maxLength: 32,
    problemOf: (text) => (readCode(text) === null ? 'The code has eight letters, such as BCDF-GHJK.' : null),
  })
  for (const [name, value] of Object.entries({
    class: 'code-input',
    placeholder: 'XXXX-XXXX',
    autocapitalize: 'characters',
    spellcheck: 'false',
  }))
    field.input.setAttribute(name, value)
  const submit = el('button', { type: 'submit', class: 'primary' }, 'Go on')
  const form = el(
    'form',
    { novalidate: true },
    el('div', { class: 'field' }, field.label, field.input, field.problem),
    actions(
      submit,
      button('Cancel', { class: 'quiet' }, () => page.go({ kind: 'home' })),
    ),
  )
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const code = readCode(field.value() ?? '')
    if (code === null) return
    void runTask(submit, context, async () => {
      const shown = await call('/v1/session/show', { code })
      if (!shown.ok) return shown.failure
      page.show(endorseView(page, { person: page.person ?? person, session: shown.value.session, place: context.place }))
      return null
    })
  })
  const warning = noticeBox({
    tone: 'bad',
    title: 'Only a code from your own terminal',
    text: 'Type a code only if you can see it on a machine where you typed login yourself. If somebody gave it to you, stop here.',
  })
  return {
    heading: 'Sign a terminal in',
    body: [el('p', { class: 'lead' }, 'For a machine without a browser, such as a server.'), card(warning, form, context.area)],
  }
}
