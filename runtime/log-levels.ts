// The levels of the processes' own log, apart from the logger, so that whoever only reads configuration (the command
// line above all) does not load pino. It imports nothing.

/** From the most talkative; `silent` writes nothing. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
