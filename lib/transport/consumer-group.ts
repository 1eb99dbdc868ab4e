/** The processes that read a queue together, on a broker that shares its partitions among them: what is known without asking. */
export interface ConsumerGroup {
  /** Its name on the broker. */
  readonly name: string;
  /** Partitions that this process reads at the moment; with 0 it stands by. */
  readonly partitions: number;
  /** As the broker calls it: `Stable`, `PreparingRebalance`, …; left out until it was asked. */
  readonly state?: string;
  /** Processes in the group, each subscription of them counted. */
  readonly members?: number;
  /** Records that the group has not finished with, in all partitions, whoever reads them. */
  readonly lag?: number;
  /** How many milliseconds ago the broker told state, members and lag. */
  readonly ageMs?: number;
}
