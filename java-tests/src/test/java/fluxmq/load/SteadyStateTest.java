package fluxmq.load;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SteadyStateTest {
    @ParameterizedTest(name = "{3}")
    @CsvSource(delimiter = '|', value = {
        "3 | 100 101 100           | true  | level rates are steady",
        "3 | 100 101               | false | fewer buckets than the window tell nothing",
        "3 | 100 103 106           | false | a rise within the tolerance is still a trend",
        "3 | 106 103 100           | false | and so is a fall",
        "3 | 100 120 100           | false | one bucket outside of the tolerance",
        "3 | 10 50 100 101 100     | true  | what was before the window does not matter",
        "3 | 0 0 0                 | false | nothing sent is not steady",
        "2 | 100 101               | true  | two buckets show no trend",
        "4 | 100 101 101 102       | true  | a step that stands still breaks the trend",
    })
    void tellsSteadyFromNot(int window, String rates, boolean steady, String why) {
        SteadyState state = new SteadyState(window, 0.1);
        boolean last = false;
        for (String rate : rates.trim().split(" ")) {
            last = state.add(Double.parseDouble(rate));
        }
        assertEquals(steady, last, why);
    }
}
