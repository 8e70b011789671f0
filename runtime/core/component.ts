/** A role of the cluster while it runs. */
export interface RunningComponent {
  /** The ports really listened on, by their names in the command line (`port`, `peer-port`, `agent-server-port`, ...). */
  readonly ports: Readonly<Record<string, number>>
  /** Undoes the start in reverse; may be called twice; leaves no handle open. */
  stop (): Promise<void>
}
