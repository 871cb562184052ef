// What has its place in the root by name, made ready for use: whoever shares the volume may have put something else
// there, or removed the root while sync runs.
import { lstat, mkdir, rm } from 'node:fs/promises'
import type { Layout } from './layout.ts'

/** Makes the root where it is gone, and clears the places of our folders and files of what is neither. */
export async function clearOwnPlaces(layout: Layout): Promise<void> {
  await mkdir(layout.root, { recursive: true, mode: 0o775 })
  for (const folder of [layout.worktreesDir, layout.leasesDir, layout.gateDir]) {
    const found = await lstat(folder).catch(() => undefined)
    // A link could lead out of the root, and what is removed in our folders is removed there.
    if (found !== undefined && !found.isDirectory()) await rm(folder)
  }
  const config = await lstat(layout.gitConfigPath).catch(() => undefined)
  if (config !== undefined && !config.isFile()) await rm(layout.gitConfigPath, { recursive: true })
}
