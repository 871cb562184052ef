// Which proxy a request goes through, by the environment variables that all programs know and the rules of Go's
// HTTP client, which git-sync uses. Node has rules of its own, so it is told the outcome only: it knows no networks
// (10.0.0.0/8) and no subdomains (example.com for hooks.example.com) in NO_PROXY, both usual in clusters, and it
// would ask the proxy for loopback addresses.
import { BlockList, isIP } from 'node:net'

/** An environment; HTTP_PROXY, HTTPS_PROXY, NO_PROXY and the same in lower case are looked at, and SSL_CERT_FILE. */
export type OutgoingEnvironment = Readonly<Record<string, string | undefined>>

/**
 * The proxy for a URL; undefined where there is none to be used.
 * @throws Error, without the value, where the variable does not hold the URL of an HTTP proxy
 */
export function proxyFor(url: URL, environment: OutgoingEnvironment): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const value = read(environment, name)
  if (value === '' || !mayUseProxy(url, read(environment, 'NO_PROXY'))) return undefined
  const proxy = URL.parse(value.includes('://') ? value : `http://${value}`)
  if (proxy === null || !['http:', 'https:'].includes(proxy.protocol)) {
    throw new Error(
      `${name} does not hold the URL of an HTTP proxy: write http://host:port or https://host:port, with user:password@ before the host where the proxy asks for them`,
    )
  }
  return proxy
}

function read(environment: OutgoingEnvironment, name: string): string {
  return environment[name] || environment[name.toLowerCase()] || ''
}

function mayUseProxy(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  if (host === 'localhost' || (isIP(host) !== 0 && contains('127.0.0.0/8', host)) || host === '::1')
    return false
  const entries = noProxy
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
  return !entries.some((entry) => entry === '*' || matches(entry, host, port))
}

/** One entry of NO_PROXY: a network, or an address or a name, both perhaps with a port. */
function matches(entry: string, host: string, port: string): boolean {
  if (entry.includes('/')) return isIP(host) !== 0 && contains(entry, host)
  const [, bracketed, plain, entryPort] = /^(?:\[([^\]]*)\]|(.*?))(?::(\d+))?$/.exec(entry) ?? []
  const isBareIpv6 = isIP(entry) === 6
  const name = isBareIpv6 ? entry : (bracketed ?? plain ?? entry)
  if (!isBareIpv6 && entryPort !== undefined && entryPort !== port) return false
  if (isIP(name) !== 0) return isIP(host) !== 0 && contains(`${name}/${isIP(name) === 6 ? 128 : 32}`, host)
  // `.example.com` means what is below it; `example.com` that too, and itself; `*.example.com` is the former.
  const domain = name.replace(/^\*\./, '.')
  return domain.startsWith('.') ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`)
}

function contains(network: string, address: string): boolean {
  const [start = '', bits = ''] = network.split('/')
  const family = isIP(start) === 6 ? 'ipv6' : 'ipv4'
  if (isIP(start) === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 'ipv6' ? 128 : 32))
    return false
  const list = new BlockList()
  list.addSubnet(start, Number(bits), family)
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}
