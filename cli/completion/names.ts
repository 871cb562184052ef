// Names that only the API knows, for completion.
import type { DagCollection } from '../../web/server/schemas/dag.ts'
import type { DagRunCollection } from '../../web/server/schemas/dag-run.ts'
import { type Api, path } from '../api/client.ts'
import { type ApiOptions, connectApi } from '../api/connect.ts'
import { getRun, latest, resolveRunId } from '../api/runs.ts'
import type { Candidate } from './candidate.ts'

/** How long a person waits at a key before it feels broken. */
const timeoutMs = 1_000
/** Newest runs to choose from; older ones are rarely meant. */
const maxRuns = 20
/** More Dags than anybody reads through. */
const maxDags = 1_000

/** What the line says before the cursor. */
interface Line {
  given: readonly string[]
  apiOptions: ApiOptions
}

/** Candidates for an argument by its name; none for arguments that are no names of the API's. */
export async function nameCandidates(argument: string, { given, apiOptions }: Line): Promise<Candidate[]> {
  const source = sources[argument]
  return source === undefined ? [] : await source(connectApi(apiOptions, { timeoutMs }), given)
}

const sources: Readonly<Record<string, (api: Api, given: readonly string[]) => Promise<Candidate[]>>> = {
  async dag_id(api) {
    const { dags } = await api.get<DagCollection>(path`/dags`, { limit: maxDags })
    return dags.map((dag) => ({ word: dag.dag_id, description: dag.timetable_summary ?? '' }))
  },
  async run_id(api, [dagId = '']) {
    const query = { limit: maxRuns }
    const { dag_runs } = await api.get<DagRunCollection>(path`/dags/${dagId}/dagRuns`, query)
    const runs = dag_runs.map((run) => ({ word: run.run_id, description: run.state as string }))
    return runs.length === 0 ? [] : [{ word: latest, description: 'the newest run' }, ...runs]
  },
  async task_id(api, [dagId = '', run = latest]) {
    const { task_instances } = await getRun(api, dagId, await resolveRunId(api, dagId, run))
    return task_instances.map(({ task_id, state }) => ({ word: task_id, description: state }))
  },
}
