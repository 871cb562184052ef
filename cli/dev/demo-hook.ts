// The post-receive hook of the demonstration repository, by which a push is live at once: it asks the sync of `dev`
// to look now. A real Git server would call the same address by a webhook. Needs nothing but a shell and the Node
// that runs us.

/** @param syncUrl what to POST to */
export function postReceiveHook(syncUrl: string, node: string): string {
  return `#!/bin/sh
# Made by 'branchline dev', anew at every start.
exec ${quote(node)} -e ${quote(script)} ${quote(syncUrl)} </dev/null
`
}

/** A push must not wait for a sync that does not answer. */
const timeoutMs = 2_000

const script = `
const say = (text) => process.stdout.write('Branchline: ' + text + '\\n')
const request = require('node:http').request(process.argv[1], { method: 'POST', timeout: ${timeoutMs} }, (response) => {
  response.resume()
  say('the sync was told, it is live in a moment.')
})
request.on('timeout', () => request.destroy(new Error('no answer')))
request.on('error', () => say('branchline dev does not run: it is live when that starts.'))
request.end()
`

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
