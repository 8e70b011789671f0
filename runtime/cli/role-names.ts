/** The roles of a cluster, as commands. */
export const ROLE_NAMES = ['agent', 'origin', 'tracker', 'proxy', 'build-index'] as const
export type RoleName = typeof ROLE_NAMES[number]

export function isRoleName (name: string): name is RoleName { return ROLE_NAMES.some(known => known === name) }
