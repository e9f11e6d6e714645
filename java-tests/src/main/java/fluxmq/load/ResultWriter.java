package fluxmq.load;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** Writes {@code client-result.json}: whole or not at all. */
final class ResultWriter {
    static final String FILE_NAME = "client-result.json";

    private static final JsonMapper JSON = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enable(SerializationFeature.INDENT_OUTPUT)
            .build();

    private ResultWriter() {}

    /** Writes the result into the directory, through a temporary file beside it. */
    static void write(ClientResult result, Path directory) throws IOException {
        Path draft = directory.resolve(FILE_NAME + ".tmp");
        Files.write(draft, JSON.writeValueAsBytes(result));
        Files.move(draft, directory.resolve(FILE_NAME), StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    }
}
