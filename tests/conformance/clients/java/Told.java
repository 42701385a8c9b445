import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Objects;

/**
 * The runner's protocol (../README.md): a line of JSON per fact on standard output, needs answered
 * on standard input.
 *
 * <p>The stream is taken before anything else can redirect System.out, and lines are written whole.
 */
final class Told {
    private static final PrintStream OUT =
            new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    private static final BufferedReader IN =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

    private Told() {}

    static void client(String name) {
        line("{\"client\": " + text(name) + "}");
    }

    /** Equal, or the program's end. */
    static void check(String what, Object expected, Object found) {
        if (!Objects.equals(expected, found)) {
            throw new Wrong(what + ": expected " + expected + ", found " + found);
        }
        line(
                "{\"check\": " + text(what)
                        + ", \"expected\": " + text(String.valueOf(expected))
                        + ", \"found\": " + text(String.valueOf(found)) + "}");
    }

    static void lacks(String what) {
        line("{\"lacks\": " + text(what) + "}");
    }

    static void passed() {
        line("{\"passed\": true}");
    }

    /** Asks the runner and waits until it is done. */
    static void need(String what) throws IOException {
        line("{\"need\": " + text(what) + "}");
        String answer = IN.readLine();
        if (!"done".equals(answer)) {
            throw new Wrong("the runner answered " + answer + " to need " + what);
        }
    }

    private static synchronized void line(String json) {
        OUT.println(json);
    }

    private static String text(String content) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char letter : content.toCharArray()) {
            switch (letter) {
                case '"' -> quoted.append("\\\"");
                case '\\' -> quoted.append("\\\\");
                default -> {
                    if (letter < ' ') {
                        quoted.append(String.format("\\u%04x", (int) letter));
                    } else {
                        quoted.append(letter);
                    }
                }
            }
        }
        return quoted.append('"').toString();
    }

    /** Something that does not hold. */
    static final class Wrong extends RuntimeException {
        Wrong(String message) {
            super(message);
        }
    }
}
