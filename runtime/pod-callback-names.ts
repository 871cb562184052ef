// The names of the callbacks of `pod()`: Airflow's, in camel case. What each is called for is in
// authoring/pod-callbacks.ts. It imports nothing.

/** In the order in which a pod comes to them; `progressCallback` and `onOperatorResuming` may come in between. */
export const podCallbackNames = [
  'onPodManifestCreated',
  'onPodCreation',
  'onPodStarting',
  'progressCallback',
  'onPodCompletion',
  'onPodTeardown',
  'onPodCleanup',
  'onOperatorResuming',
] as const
export type PodCallbackName = (typeof podCallbackNames)[number]
