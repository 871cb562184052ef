// Renders the templates in an operator's manifest for one attempt. Pure.
//
// In a container's command, arguments and variables Kubernetes itself expands `$(NAME)` and turns `$$` into `$`. That
// is for what the author wrote; what a param or a result brings arrives as it is, whatever dollars are in it.
import { camelCase } from '../../runtime/authoring/pod-option-names.ts'
import type { OperatorManifest } from '../../runtime/operator-manifest.ts'
import { mapTexts } from '../../runtime/templates/map-texts.ts'
import { renderTemplate } from '../../runtime/templates/render-template.ts'
import type { TemplateVariables } from '../../runtime/templates/template-variables.ts'

const expandedPath = /(^|\.)(cmds|arguments|command|args)\[\d+\]$|(^|\.)(env|env_vars)\[\d+\]\.value$/

/**
 * The same manifest with every text in it rendered.
 * @throws TemplateError with task, option and the nearest name
 */
export function renderOperator<Manifest extends OperatorManifest>(
  operator: Manifest,
  variables: TemplateVariables,
): Manifest {
  const entries = Object.entries(operator).map(([key, value]) => [
    key,
    renderTexts(value, variables, { key, name: camelCase(key) }),
  ])
  return Object.fromEntries(entries) as Manifest
}

/**
 * Every text within a value rendered.
 * @param at `key`: how the value is called in the manifest, `name`: by the author
 * @throws TemplateError
 */
export function renderTexts<Value>(
  value: Value,
  variables: TemplateVariables,
  at: { key: string; name: string },
): Value {
  const task = `task '${variables.task_id}' of Dag '${variables.dag_id}'`
  return mapTexts(value, at.key, (text, path) => {
    const place = `${task}, option '${at.name}${path.slice(at.key.length)}'`
    return renderTemplate(text, variables, place, expandedPath.test(path) ? literally : undefined)
  })
}

/** As Kubernetes has to be told so that the container sees `text`. */
export function literally(text: string): string {
  return text.replaceAll('$', '$$$$')
}
