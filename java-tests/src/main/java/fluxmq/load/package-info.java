/**
 * The Java load client: one job in, load through Apache Kafka's own client, events on standard output, and
 * {@code client-result.json} with {@code latency.hlog} in the output directory.
 *
 * <p>It keeps the contract of {@code docs/load-contract.md}; the Go clients keep the same one. {@link fluxmq.load.LoadMain}
 * is the program, {@link fluxmq.load.ProduceRun} and {@link fluxmq.load.ConsumeRun} are the two modes. It knows nothing of
 * the broker but the Kafka protocol.
 */
package fluxmq.load;
