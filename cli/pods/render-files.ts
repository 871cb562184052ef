// Rendered tasks as files: their names, which are Airflow's (`generate-dag-yaml`), and what stands above the YAML.
import { toYaml } from '../../k8s/yaml.ts'

export interface RenderedFile {
  name: string
  text: string
}

/** `daily_extract_2026-01-31T06_00_00_plus_00_00.yml`. */
export function renderedFileName(dagId: string, taskId: string, logicalDate: string): string {
  const date = logicalDate
    .replace(/\.\d+Z$|Z$/, '+00:00')
    .replaceAll(':', '_')
    .replace('+', '_plus_')
  return `${dagId}_${taskId}_${date}.yml`
}

/** Objects as YAML documents. @param remarks lines of a comment above them */
export function renderYaml(objects: readonly object[], remarks: readonly string[]): string {
  const head = remarks.map((line) => `# ${line}\n`).join('')
  return head + objects.map((object) => toYaml(object)).join('---\n')
}

const changing = ['branchline.dev/spec_hash', 'branchline.dev/commit_sha', 'branchline.dev/bundle_hash']

/** The same without what differs between any two commits, for comparing them. */
export function withoutCommit<Value>(value: Value, commitSha: string | null): Value {
  if (typeof value === 'string') {
    return (commitSha === null ? value : value.replaceAll(commitSha, '<commit_sha>')) as Value
  }
  if (Array.isArray(value)) return value.map((item: unknown) => withoutCommit(item, commitSha)) as Value
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([key]) => !changing.includes(key))
  return Object.fromEntries(kept.map(([key, field]) => [key, withoutCommit(field, commitSha)])) as Value
}
