// Names in pods that more than one part of us goes by.

/** The container in which a task runs: the first. */
export const baseContainer = 'base'

/** The init container that pulls the run's commit; as in Airflow's templates. */
export const gitSyncContainer = 'git-sync-clone'

/** What begins the names of our labels and annotations. */
export const labelPrefix = 'branchline.dev/'

/** Annotation with the hash of the pod as it was sent; see `specHash`. */
export const specHashAnnotation = `${labelPrefix}spec_hash`
