// The environment variables by which a command of a Dag knows its attempt (docs/contract.md). Apart, because they
// begin as those of settings do: `branchline` within a command must not take them for misspelt ones. It imports
// nothing.

/** Names, in the order of the contract. */
export const taskVariables = [
  'BRANCHLINE_DAG_ID',
  'BRANCHLINE_RUN_ID',
  'BRANCHLINE_TASK_ID',
  'BRANCHLINE_TRY_NUMBER',
  'BRANCHLINE_PARAMS',
  'BRANCHLINE_LOGICAL_DATE',
  'BRANCHLINE_DATA_INTERVAL_START',
  'BRANCHLINE_DATA_INTERVAL_END',
] as const
export type TaskVariable = (typeof taskVariables)[number]
