import fc from 'fast-check'
import { expect, test } from 'vitest'
import { templateFault } from '../../../runtime/templates/check-template.ts'
import { renderTemplate } from '../../../runtime/templates/render-template.ts'
import { type TemplateSubject, templateVariables } from '../../../runtime/templates/template-variables.ts'

const subject: TemplateSubject = {
  dag_id: 'sales',
  run_id: 'scheduled__2026-01-31',
  task_id: 'etl.train',
  map_index: -1,
  try_number: 2,
  run_type: 'scheduled',
  logical_date: '2026-01-31T06:00:00.000Z',
  data_interval_start: '2026-01-30T06:00:00.000Z',
  data_interval_end: '2026-01-31T06:00:00.250Z',
  params: JSON.stringify({
    region: 'north',
    limit: 3,
    on: true,
    none: null,
    deep: { list: ['a', { 'net total': 7 }] },
  }),
  inputs: { orders: JSON.stringify([{ id: 1 }]), text: JSON.stringify('plain "text"') },
}
const variables = templateVariables(subject)
const render = (text: string) => renderTemplate(text, variables, "task 'etl.train', option 'image'")

test.each([
  ['{{ ds }}', '2026-01-31'],
  ['{{ds}}', '2026-01-31'],
  ['{{ ds_nodash }}', '20260131'],
  ['{{ ts }}', '2026-01-31T06:00:00+00:00'],
  ['{{ ts_nodash }}', '20260131T060000'],
  ['{{ ts_nodash_with_tz }}', '20260131T060000+0000'],
  ['{{ logical_date }}', '2026-01-31T06:00:00+00:00'],
  ['{{ data_interval_start | ds }}', '2026-01-30'],
  ['{{ data_interval_end }}', '2026-01-31T06:00:00.250000+00:00'],
  ['{{ data_interval_end | ts_nodash }}', '20260131T060000'],
  ['{{ run_id }}/{{ dag_id }}/{{ task_id }}', 'scheduled__2026-01-31/sales/etl.train'],
  ['{{ try_number }} {{ map_index }}', '2 -1'],
  [
    '{{ ti.try_number }} {{ task_instance.task_id }} {{ dag.dag_id }} {{ task.task_id }}',
    '2 etl.train sales etl.train',
  ],
  [
    '{{ dag_run.run_type }} {{ dag_run.conf.region }} {{ dag_run.logical_date | ds }}',
    'scheduled north 2026-01-31',
  ],
  ['{{ params.region }}-{{ params.limit }}-{{ params.on }}-{{ params.none }}', 'north-3-true-null'],
  ["{{ params['region'] }} {{ params.deep.list[0] }} {{ params.deep.list.0 }}", 'north a a'],
  ["{{ params.deep.list[1]['net total'] }}", '7'],
  ['{{ params.deep }}', '{"list":["a",{"net total":7}]}'],
  ['{{ inputs.orders }}', '[{"id":1}]'],
  ['{{ inputs.orders[0].id }}', '1'],
  ['{{ inputs.text }} {{ inputs.text | tojson }}', 'plain "text" "plain \\"text\\""'],
  ['{{ params.region | upper | lower }}', 'north'],
  ['{{ params.region | upper }}', 'NORTH'],
  ["{{ '{{' }}.Names{{ '}}' }}", '{{.Names}}'],
  ['{{ "{{ ds }}" }}', '{{ ds }}'],
  ["{{ 'it\\'s' }}", "it's"],
  ['a } b }} {% if %} {# #}', 'a } b }} {% if %} {# #}'],
  ['', ''],
])('%s becomes %s', (text, expected) => {
  expect(render(text)).toBe(expected)
})

test.each([
  ['{{ dss }}', "{{ dss }}: there is no name 'dss'. Did you mean 'ds'?"],
  ['{{ params.regoin }}', "there is no field of params 'regoin'. Did you mean 'region'?"],
  ['{{ params.deep.lists }}', "there is no field of params.deep 'lists'. Did you mean 'list'?"],
  ['{{ inputs.order }}', "there is no field of inputs 'order'. Did you mean 'orders'?"],
  ['{{ inputs.orders[1] }}', 'inputs.orders has 1 items, and no item 1'],
  ['{{ params.constructor }}', "there is no field of params 'constructor'"],
  ['{{ params.region.length }}', 'params.region has no fields'],
  ['{{ ds | uper }}', "there is no filter 'uper'. Did you mean 'upper'?"],
  ['{{ params.region | ds }}', 'the filter ds takes a time, not "north"'],
  ['{{ ds', "'}}' is missing"],
  ['{{ }}', "after '{{' comes a name"],
  ['{{.Names}}', "Write {{ '{{' }} where two braces are meant as they are"],
  ['{{ ds + 1 }}', 'cannot be read'],
  ['{{ macros.ds_add(ds, 7) }}', 'cannot be read'],
  ['{{ params[region] }}', "between '[' and ']'"],
  ['{{ ds | }}', "after '|' comes the name of a filter"],
])('%s is refused', (text, words) => {
  expect(() => render(text)).toThrow(words)
  expect(() => render(text)).toThrow("task 'etl.train', option 'image'")
})

test('a run without a logical date has no ds, and says why', () => {
  const manual = templateVariables({ ...subject, logical_date: null })
  for (const name of ['ds', 'ts', 'logical_date', 'dag_run.logical_date', 'ds_nodash']) {
    expect(() => renderTemplate(`{{ ${name} }}`, manual, 'x')).toThrow('has no such time')
  }
  const named = templateVariables({ ...subject, params: '{"ds":null}' })
  expect(renderTemplate('{{ params.ds }}', named, 'x')).toBe('null')
})

test('what is put in can be encoded; the text around it is left as it is', () => {
  const encode = (text: string) => `<${text}>`
  expect(renderTemplate('<{{ ds }}> {{ params.limit }}', variables, 'x', encode)).toBe('<<2026-01-31>> <3>')
})

test.each([
  ['{{ dss }}', "there is no name 'dss'. Did you mean 'ds'?"],
  ['{{ ti.xcom_pull }}', "there is no field of ti 'xcom_pull'"],
  ['{{ ds.day }}', 'ds has no fields'],
  ['{{ inputs.order }}', "there is no input 'order'. Did you mean 'orders'?"],
  ['{{ run_id | upperr }}', "there is no filter 'upperr'. Did you mean 'upper'?"],
  ['{{ ds', "'}}' is missing"],
])('%s is refused before there is a run', (text, words) => {
  expect(templateFault(text, ['orders'])).toContain(words)
})

test.each([
  '{{ ds }}',
  '{{ params.what.ever }}',
  '{{ inputs.orders[3].id }}',
  '{{ dag_run.conf.x }}',
  '{{ inputs }}',
])('%s may be right', (text) => {
  expect(templateFault(text, ['orders'])).toBeNull()
})

test('whatever a text is, it is rendered or refused with a place; without braces it stays', () => {
  const piece = fc.constantFrom(
    '{{',
    '}}',
    ' ',
    'ds',
    'params',
    '.',
    '[',
    ']',
    "'",
    '"',
    '\\',
    '|',
    'a',
    '0',
    '\n',
  )
  fc.assert(
    fc.property(
      fc.array(piece).map((pieces) => pieces.join('')),
      (text) => {
        const fault = templateFault(text, [])
        try {
          const rendered = renderTemplate(text, variables, 'place')
          if (!text.includes('{{')) expect(rendered).toBe(text)
          expect(fault).toBeNull()
        } catch (error) {
          expect((error as Error).message).toMatch(/^place: /)
        }
      },
    ),
  )
})
