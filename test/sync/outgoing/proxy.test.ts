// The tables of golang.org/x/net/http/httpproxy's documentation, as cases.
import { describe, expect, test } from 'vitest'
import { proxyFor } from '../../../sync/outgoing/proxy.ts'

const proxyOf = (url: string, environment: Record<string, string>) =>
  proxyFor(new URL(url), environment)?.href

describe('which proxy', () => {
  test.each<[url: string, environment: Record<string, string>, proxy: string | undefined]>([
    ['http://a.example', {}, undefined],
    ['http://a.example', { HTTP_PROXY: 'http://p:1' }, 'http://p:1/'],
    ['http://a.example', { http_proxy: 'http://p:1' }, 'http://p:1/'],
    ['http://a.example', { HTTP_PROXY: 'http://p:1', http_proxy: 'http://q:1' }, 'http://p:1/'],
    ['http://a.example', { HTTP_PROXY: '', http_proxy: 'http://q:1' }, 'http://q:1/'],
    ['http://a.example', { HTTPS_PROXY: 'http://p:1' }, undefined],
    ['https://a.example', { HTTP_PROXY: 'http://p:1' }, undefined],
    ['https://a.example', { https_proxy: 'http://p:1' }, 'http://p:1/'],
    ['https://a.example', { HTTPS_PROXY: 'https://u:w@p:1' }, 'https://u:w@p:1/'],
    ['http://a.example', { HTTP_PROXY: 'p:3128' }, 'http://p:3128/'],
    ['http://localhost:80', { HTTP_PROXY: 'http://p:1' }, undefined],
    ['http://127.0.0.9/', { HTTP_PROXY: 'http://p:1' }, undefined],
    ['http://[::1]/', { HTTP_PROXY: 'http://p:1' }, undefined],
  ])('%s with %o: %s', (url, environment, proxy) => {
    expect(proxyOf(url, environment)).toBe(proxy)
  })

  test.each(['socks5://p:1', 'http://', '::'])('%s is refused, and not quoted', (value) => {
    expect(() => proxyOf('http://a.example', { HTTP_PROXY: value })).toThrow(
      /^HTTP_PROXY does not hold the URL of an HTTP proxy: write http:\/\/host:port/,
    )
  })
})

describe('NO_PROXY', () => {
  test.each<[noProxy: string, url: string, isDirect: boolean]>([
    ['*', 'http://a.example', true],
    ['a.example', 'http://a.example', true],
    ['A.Example', 'http://a.example', true],
    ['example', 'http://a.example', true],
    ['xample', 'http://a.example', false],
    ['.example', 'http://a.example', true],
    ['.a.example', 'http://a.example', false],
    ['*.example', 'http://a.example', true],
    ['b.example, a.example ,', 'http://a.example', true],
    ['', 'http://a.example', false],
    ['a.example:80', 'http://a.example', true],
    ['a.example:443', 'https://a.example', true],
    ['a.example:8080', 'http://a.example', false],
    ['a.example:8080', 'http://a.example:8080', true],
    ['.svc,.cluster.local', 'http://receiver.team.svc:9000/hook', true],
    ['10.0.0.0/8', 'http://10.1.2.3', true],
    ['10.0.0.0/8', 'http://11.1.2.3', false],
    ['10.0.0.0/8', 'http://a.example', false],
    ['10.0.0.0/99', 'http://10.1.2.3', false],
    ['10.1.2.3', 'http://10.1.2.3', true],
    ['10.1.2.3:80', 'http://10.1.2.3:81', false],
    ['10.1.2', 'http://10.1.2.3', false],
    ['fd00::/8', 'http://[fd00::12]/', true],
    ['fd00::12', 'http://[fd00:0::12]/', true],
    ['[fd00::12]:80', 'http://[fd00::12]/', true],
    ['[fd00::12]:81', 'http://[fd00::12]/', false],
  ])('%s, %s: direct %s', (noProxy, url, isDirect) => {
    const proxies = { HTTP_PROXY: 'http://p:1', HTTPS_PROXY: 'http://p:1' }
    expect(proxyOf(url, { ...proxies, NO_PROXY: noProxy }) === undefined).toBe(isDirect)
    expect(proxyOf(url, { ...proxies, no_proxy: noProxy }) === undefined).toBe(isDirect)
  })
})
