import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** Posts a body to each address as the JDK's client does by default, with its length and in chunks. */
public class Post {
    public static void main(String[] arguments) throws Exception {
        byte[] body = arguments[0].getBytes();
        for (int i = 1; i < arguments.length; i++) {
            var chunks = BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body));
            for (var publisher : new HttpRequest.BodyPublisher[] {BodyPublishers.ofByteArray(body), chunks}) {
                var request = HttpRequest.newBuilder(URI.create(arguments[i]))
                    .header("Content-Type", "application/json").POST(publisher).build();
                var response = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
                System.out.println(response.statusCode() + " " + response.body());
            }
        }
    }
}
