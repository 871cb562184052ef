import { expect, test } from 'vitest'
import { createCommandLine } from '../../cli/command-line.ts'
import { renderCliReference } from '../../cli/reference.ts'
import { createTerminal } from '../../cli/terminal.ts'

test('docs/reference/cli.md describes the commands as they are', async () => {
  const page = renderCliReference(createCommandLine(createTerminal()))
  await expect(page).toMatchFileSnapshot('../../docs/reference/cli.md')
})
