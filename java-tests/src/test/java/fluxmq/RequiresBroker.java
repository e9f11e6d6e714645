package fluxmq;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Marks tests that talk to a broker at FLUXMQ_BOOTSTRAP. Without one they are skipped, and say so; with FLUXMQ_REQUIRE_BROKER=1
 * they fail instead, so that a build which means to test a broker cannot pass without it.
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(RequiresBroker.Condition.class)
public @interface RequiresBroker {
    /** Looks for the address. */
    final class Condition implements ExecutionCondition {
        @Override
        public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
            if (!Broker.bootstrap().isEmpty()) {
                return ConditionEvaluationResult.enabled("broker at " + Broker.bootstrap());
            }
            if (Broker.required()) {
                throw new IllegalStateException("FLUXMQ_REQUIRE_BROKER=1, but FLUXMQ_BOOTSTRAP names no broker");
            }
            return ConditionEvaluationResult.disabled("FLUXMQ_BOOTSTRAP names no broker");
        }
    }
}
