/** Bytes that a fuzzing thread and its watch share: how many inputs were begun, how long the current one is, and that one. */
export const progressBytes = 8 + 16 * 1024
