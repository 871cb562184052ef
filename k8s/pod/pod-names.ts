// Names in pods that more than one part of us goes by.

/** The container in which a task runs: the first. */
export const baseContainer = 'base'

/** The init container that pulls the run's commit; as in Airflow's templates. */
export const gitSyncContainer = 'git-sync-clone'

/** What begins the names of our labels and annotations. */
export const labelPrefix = 'branchline.dev/'

/** Annotation by which the launch ledger knows the pod's attempt. */
export const attemptIdAnnotation = `${labelPrefix}attempt_id`

/** Annotation with the hash of the pod as it was sent; see `specHash`. */
export const specHashAnnotation = `${labelPrefix}spec_hash`

/** Which container kubectl means where none is named. */
export const defaultContainerAnnotation = 'kubectl.kubernetes.io/default-container'
