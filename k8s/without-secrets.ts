// Objects of Kubernetes as they may be shown to people who need not be ones who may read the cluster. Pure.

/** Names under which people keep what nobody is to read. */
const secretName =
  /pass(word|wd|phrase)?|secret|token|credential|private|api_?key|access_?key|auth|_key$|dsn|(database|db)_?url/i
const masked = '***'

/**
 * The object with '***' for values that look secret: whoever may read the API need not be one who may read the
 * cluster. References to secrets stay, since they name them only.
 */
export function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets)
  if (typeof value !== 'object' || value === null) return value
  const isSecret = (value as { kind?: unknown }).kind === 'Secret'
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key === 'env' && Array.isArray(inner)) return [key, inner.map(maskedVariable)]
      if (isSecret && (key === 'data' || key === 'stringData')) return [key, maskedValues(inner)]
      return [key, withoutSecrets(inner)]
    }),
  )
}

function maskedVariable(variable: unknown): unknown {
  const { name, value } = (variable ?? {}) as { name?: unknown; value?: unknown }
  const isSecret = typeof name === 'string' && secretName.test(name) && typeof value === 'string'
  return isSecret && value !== '' ? { ...(variable as object), value: masked } : variable
}

function maskedValues(data: unknown): unknown {
  if (typeof data !== 'object' || data === null) return data
  return Object.fromEntries(Object.keys(data).map((key) => [key, masked]))
}
