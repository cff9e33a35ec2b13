/** Questions over the page. The browser's own dialog keeps the focus inside, closes on Escape and gives the focus back. */
import { button, el, freshId } from './dom.ts'
import { actions } from './parts.ts'

interface Question {
  title: string
  body: Node[]
  /** Label of the button that goes on. */
  confirm: string
  danger: boolean
}

/** Asks; true when the person confirms. */
export function ask({ title, body, confirm, danger }: Question): Promise<boolean> {
  const titleId = freshId('dialog')
  const dialog = el('dialog', { class: 'stack', 'aria-labelledby': titleId }, el('h2', { id: titleId }, title), ...body)
  const no = button('Cancel', { class: 'quiet', autofocus: true }, () => dialog.close())
  const yes = button(confirm, { class: danger ? 'danger' : 'primary' }, () => dialog.close('yes'))
  dialog.append(actions(yes, no))
  return answerOf(dialog)
}

/** Asks for a line of text; null when the person cancels. `problemOf`: what is wrong with a text, or null. */
export function askText(question: {
  title: string
  label: string
  value: string
  maxLength: number
  confirm: string
  problemOf: (text: string) => string | null
}): Promise<string | null> {
  const titleId = freshId('dialog')
  const field = textField(question)
  const form = el('form', { class: 'field', novalidate: true }, field.label, field.input, field.problem)
  const dialog = el('dialog', { class: 'stack', 'aria-labelledby': titleId }, el('h2', { id: titleId }, question.title), form)
  const save = el('button', { type: 'submit', class: 'primary' }, question.confirm)
  form.append(
    actions(
      save,
      button('Cancel', { class: 'quiet' }, () => dialog.close()),
    ),
  )
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    if (field.value() !== null) dialog.close('yes')
  })
  return answerOf(dialog).then((answered) => (answered ? field.value() : null))
}

export interface TextField {
  label: HTMLLabelElement
  input: HTMLInputElement
  /** Words about what is wrong, tied to the input. */
  problem: HTMLElement
  /** The trimmed text, or null when something is wrong with it: then the problem is shown and the input has the focus. */
  value(): string | null
}

/** A labelled field that says what is wrong with what is in it. */
export function textField(options: {
  label: string
  value: string
  maxLength: number
  problemOf: (text: string) => string | null
}): TextField {
  const id = freshId('field')
  const input = el('input', {
    id,
    type: 'text',
    value: options.value,
    maxlength: options.maxLength,
    autocomplete: 'off',
    'aria-describedby': `${id}-problem`,
  })
  const problem = el('p', { id: `${id}-problem`, class: 'problem', role: 'alert' })
  return {
    label: el('label', { for: id }, options.label),
    input,
    problem,
    value: () => {
      const text = input.value.trim()
      const wrong = options.problemOf(text)
      problem.textContent = wrong
      input.setAttribute('aria-invalid', String(wrong !== null))
      if (wrong === null) return text
      input.focus()
      return null
    },
  }
}

function answerOf(dialog: HTMLDialogElement): Promise<boolean> {
  document.body.append(dialog)
  dialog.showModal()
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === 'yes')
    })
  })
}
