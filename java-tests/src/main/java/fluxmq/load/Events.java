package fluxmq.load;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.Map;

/** The events of a run: one JSON object a line, flushed at once. Any thread may call it; lines never mix. */
final class Events {
    /** Only the first findings are told as events; the result holds more. */
    static final int MAX_FINDINGS = 20;

    private final PrintStream out;
    private final ObjectMapper json = new ObjectMapper();

    /** Writes to out, which the caller owns. */
    Events(PrintStream out) {
        this.out = out;
    }

    void phase(String phase, long unixNs) {
        Map<String, Object> event = event("phase");
        event.put("phase", phase);
        event.put("unix_ns", unixNs);
        print(event);
    }

    void progress(long unixNs, String phase, long sent, long acknowledged, long received, double ratePerSecond) {
        Map<String, Object> event = event("progress");
        event.put("unix_ns", unixNs);
        event.put("phase", phase);
        event.put("sent", sent);
        event.put("acknowledged", acknowledged);
        event.put("received", received);
        event.put("rate_per_second", ratePerSecond);
        print(event);
    }

    void delivered(long unixNs) {
        Map<String, Object> event = event("delivered");
        event.put("unix_ns", unixNs);
        print(event);
    }

    void finding(String kind, int partition, long offset, long count) {
        Map<String, Object> event = event("finding");
        event.put("kind", kind);
        event.put("partition", partition);
        event.put("offset", offset);
        event.put("count", count);
        print(event);
    }

    /** The last line of every run. */
    void done(int exitCode) {
        Map<String, Object> event = event("done");
        event.put("exit", exitCode);
        print(event);
    }

    private static Map<String, Object> event(String name) {
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("event", name);
        return event;
    }

    private synchronized void print(Map<String, Object> event) {
        try {
            out.println(json.writeValueAsString(event));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("an event of strings and numbers is always JSON", e);
        }
        out.flush();
    }
}
