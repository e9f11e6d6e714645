package fluxmq.load;

/** Ends the run with an exit code of the contract and one sentence for the person who reads standard error. */
final class LoadException extends Exception {
    private static final long serialVersionUID = 1L;

    /** Exit code: the run could not do its work. */
    static final int RUN_ERROR = 1;
    /** Exit code: the command line or the job is wrong. */
    static final int BAD_JOB = 2;
    /** Exit code: a record was lost, duplicated, reordered or corrupt. */
    static final int NOT_PROVEN = 6;
    /** Exit code: SIGINT or SIGTERM. */
    static final int INTERRUPTED = 130;

    final int exitCode;

    private LoadException(int exitCode, String message, Throwable cause) {
        super(message, cause);
        this.exitCode = exitCode;
    }

    static LoadException badJob(String message) {
        return new LoadException(BAD_JOB, message, null);
    }

    static LoadException run(String message) {
        return new LoadException(RUN_ERROR, message, null);
    }

    static LoadException run(String message, Throwable cause) {
        return new LoadException(RUN_ERROR, message + ": " + describe(cause), cause);
    }

    /** The innermost message that says something, with its type. */
    static String describe(Throwable cause) {
        Throwable at = cause;
        while (at.getCause() != null && (at instanceof java.util.concurrent.ExecutionException || at instanceof org.apache.kafka.common.KafkaException
                && at.getClass() == org.apache.kafka.common.KafkaException.class)) {
            at = at.getCause();
        }
        return at.getMessage() == null ? at.getClass().getSimpleName() : at.getClass().getSimpleName() + ": " + at.getMessage();
    }
}
