// URLs of repositories taken apart as git does it, which is not as browsers do: paths and `host:path` are allowed
// where a URL is, the last @ before the path ends the user info, and what is not decodable stays as it is.

/** A URL and what its user info said. */
export interface SplitUrl {
  /** Without user info, otherwise letter for letter what was given. */
  url: string
  /** Decoded; absent: there was no user info. */
  username?: string
  /** Decoded; absent: there was none. */
  password?: string
  /** The password as it stood in the URL. */
  rawPassword?: string
}

/** Takes the user info out of any URL; paths and `user@host:path` have none and come back as they are. */
export function splitUserInfo(text: string): SplitUrl {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)@([^@/?#]*)(.*)$/is.exec(text)
  if (match === null) return { url: text }
  const [, scheme, userInfo, host, rest] = match as unknown as [string, string, string, string, string]
  const url = `${scheme}${host}${rest}`
  const colon = userInfo.indexOf(':')
  if (colon < 0) return { url, username: decode(userInfo) }
  const rawPassword = userInfo.slice(colon + 1)
  return { url, username: decode(userInfo.slice(0, colon)), password: decode(rawPassword), rawPassword }
}

/**
 * What may be a password in an http(s) URL that holds it unencoded: a `/`, `?` or `#` of it ended what git takes for
 * user and host, so that it would be asked for, logged and written down as a part of host and path.
 * @returns the longest stretch that it may be; undefined where the URL is unambiguous: an @ in a path, behind a host
 * with or without a port, is one
 */
export function misreadPassword(text: string): string | undefined {
  const [, authority, rest] = /^https?:\/\/([^/?#]*)(.*)$/is.exec(text) ?? []
  if (authority === undefined || rest === undefined || !text.includes('@')) return undefined
  const isUserAndMore = rest.includes('@') && /^[^@:[\]]*:(?!\d+$)[^@]*$/.test(authority)
  if (!isUserAndMore && URL.canParse(text)) return undefined
  const start = authority.includes(':') ? text.indexOf(':', text.indexOf('//')) : text.indexOf('//') + 1
  return text.slice(start + 1, text.lastIndexOf('@'))
}

/** Whether git asks for a password by HTTP there. */
export function isHttpUrl(text: string): boolean {
  return /^https?:\/\//i.test(text)
}

/** What git's credential protocol calls the parts of a URL. */
export interface CredentialScope {
  protocol: string
  /** With its port; empty for `file:///…`. */
  host: string
  /** Decoded, without slashes at its ends; empty: the whole server. */
  path: string
}

/**
 * The scope of a URL without user info. Of http(s) in the spelling that every other spelling of the same place
 * has too: lower-case host, no default port, no query.
 * @returns undefined for what is no URL, which git's credential protocol cannot speak of
 */
export function scopeOf(text: string): CredentialScope | undefined {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is.exec(text)
  if (match === null) return undefined
  const [, scheme, authority, rest] = match as unknown as [string, string, string, string]
  if (!isHttpUrl(text)) {
    return { protocol: scheme, host: authority, path: decode(rest.replace(/^\/+|\/+$/g, '')) }
  }
  if (!URL.canParse(text)) return undefined
  const { protocol, host, pathname } = new URL(text)
  return { protocol: protocol.slice(0, -1), host, path: decode(pathname.replace(/^\/+|\/+$/g, '')) }
}

/** The scope as a URL, encoded as git encodes what it compares with: everything that is reserved. */
export function urlOf({ protocol, host, path }: CredentialScope): string {
  return `${protocol}://${host}${path === '' ? '' : `/${path.split('/').map(percentEncode).join('/')}`}`
}

function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** Whether the one holds the other: the same server, and the same path or one above it. */
export function contains(outer: CredentialScope, inner: CredentialScope): boolean {
  return (
    outer.protocol === inner.protocol &&
    outer.host === inner.host &&
    (outer.path === '' || `${inner.path}/`.startsWith(`${outer.path}/`))
  )
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
