// Rounds of a case and its floor in turn: A B A B …, after some that are not counted, in which caches fill and
// code is compiled.

export interface Rounds {
  values: number[]
  floors: number[]
}

/**
 * @param input.measure one round of the system under test; gives its figure
 * @param input.floor one round of the bare loop; gives its figure
 */
export async function inTurn(input: {
  rounds: number
  warmUp: number
  signal: AbortSignal
  measure: (round: number) => Promise<number>
  floor: (round: number) => Promise<number>
}): Promise<Rounds> {
  const counted: Rounds = { values: [], floors: [] }
  for (let round = -input.warmUp; round < input.rounds; round += 1) {
    input.signal.throwIfAborted()
    const value = await input.measure(round)
    const floor = await input.floor(round)
    if (round < 0) continue
    counted.values.push(value)
    counted.floors.push(floor)
  }
  return counted
}
