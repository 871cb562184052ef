import { freePort as freePortOf } from '../../cli/dev/ports.ts'

/** A port that nobody listens on now. @param address of this machine */
export async function freePort(address: string): Promise<number> {
  return (await freePortOf(address, 0))!
}
