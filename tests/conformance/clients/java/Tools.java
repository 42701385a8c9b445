import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

/**
 * Kafka's tools by their main classes, one after the other in one JVM: to start one for each takes
 * longer than what they do.
 *
 * <pre>
 * in   i32 words { i32 length, bytes }      class, standard input, arguments
 * out  i32 status  i32 length, bytes        -1 if it hangs; output and errors as one
 * </pre>
 *
 * <p>The tools think they are alone: exits and shutdown hooks go through Kafka's own Exit, which
 * lets tests replace them.
 */
public final class Tools {
    private static final long LIMIT_MS = 60_000;

    private Tools() {}

    public static void main(String[] none) throws Exception {
        DataOutputStream answers = new DataOutputStream(new FileOutputStream(FileDescriptor.out));
        DataInputStream calls = new DataInputStream(System.in);
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        // Set once, before any class of Scala's library loads: its Console keeps what it finds.
        PrintStream stream = new PrintStream(said, true, StandardCharsets.UTF_8);
        System.setOut(stream);
        System.setErr(stream);
        while (true) {
            List<String> words = call(calls);
            if (words.isEmpty()) {
                break;
            }
            said.reset();
            System.setIn(new ByteArrayInputStream(words.get(1).getBytes(StandardCharsets.UTF_8)));
            String[] arguments = words.subList(2, words.size()).toArray(new String[0]);
            int status = new Call(words.get(0), arguments).run(LIMIT_MS);
            stream.flush();
            byte[] output = said.toByteArray();
            answers.writeInt(status);
            answers.writeInt(output.length);
            answers.write(output);
            answers.flush();
            if (status == -1) {
                break;
            }
        }
        Runtime.getRuntime().halt(0);
    }

    private static List<String> call(DataInputStream calls) throws IOException {
        List<String> words = new ArrayList<>();
        try {
            for (int left = calls.readInt(); left > 0; left--) {
                byte[] word = calls.readNBytes(calls.readInt());
                words.add(new String(word, StandardCharsets.UTF_8));
            }
        } catch (EOFException end) {
            return List.of();
        }
        return words;
    }

    /** One run of a main class. */
    private static final class Call implements Runnable {
        private final String name;
        private final String[] arguments;
        private final List<Runnable> hooks = new ArrayList<>();
        /** The first exit's; a tool that catches everything may try a second. */
        private Integer status;

        Call(String name, String[] arguments) {
            this.name = name;
            this.arguments = arguments;
        }

        int run(long limit) throws InterruptedException {
            Exit.setExitProcedure((code, message) -> leave(code, message));
            Exit.setHaltProcedure((code, message) -> leave(code, message));
            Exit.setShutdownHookAdder((title, hook) -> hooks.add(hook));
            Thread thread = new Thread(this, "main");
            thread.setDaemon(true);
            thread.start();
            thread.join(limit);
            if (thread.isAlive()) {
                System.out.println("no end after " + limit + " ms, " + name + " is at");
                Arrays.stream(thread.getStackTrace()).forEach(System.out::println);
                return -1;
            }
            return status == null ? 0 : status;
        }

        private synchronized void leave(int code, String message) {
            if (status == null) {
                status = code;
                if (message != null) {
                    System.err.println(message);
                }
            }
            throw new Left();
        }

        @Override
        public void run() {
            try {
                Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
            } catch (InvocationTargetException thrown) {
                if (!(thrown.getCause() instanceof Left)) {
                    thrown.getCause().printStackTrace();
                    status = status == null ? 1 : status;
                }
            } catch (ReflectiveOperationException missing) {
                missing.printStackTrace();
                status = 127;
            }
            hooks.forEach(Runnable::run);
        }
    }

    /** Ends a tool's main. */
    private static final class Left extends Error {
        Left() {
            super("the tool has ended", null, false, false);
        }
    }
}
