import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.elasticsearch.common.Strings;
import org.elasticsearch.core.CheckedFunction;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.ToXContent;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParserConfiguration;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.elasticsearch.xpack.core.ilm.AllocateAction;
import org.elasticsearch.xpack.core.ilm.DeleteAction;
import org.elasticsearch.xpack.core.ilm.ForceMergeAction;
import org.elasticsearch.xpack.core.ilm.LifecycleAction;
import org.elasticsearch.xpack.core.ilm.LifecyclePolicy;
import org.elasticsearch.xpack.core.ilm.LifecycleType;
import org.elasticsearch.xpack.core.ilm.MigrateAction;
import org.elasticsearch.xpack.core.ilm.ReadOnlyAction;
import org.elasticsearch.xpack.core.ilm.RolloverAction;
import org.elasticsearch.xpack.core.ilm.SetPriorityAction;
import org.elasticsearch.xpack.core.ilm.ShrinkAction;
import org.elasticsearch.xpack.core.ilm.TimeseriesLifecycleType;
import org.elasticsearch.xpack.core.ilm.WaitForSnapshotAction;
import org.elasticsearch.xpack.core.slm.SnapshotLifecyclePolicy;

/**
 * Reads ILM policies (bodies without their wrapper "policy") and SLM policies with Elasticsearch's own classes, which also validate them. Prints one line
 * for each file: the policy as Elasticsearch would return it, or REFUSED and the reason.
 *
 * <p>Usage: java PolicyCheck.java (ilm|slm) FILE...
 */
public final class PolicyCheck {
    private static NamedXContentRegistry.Entry action(
        String name, CheckedFunction<XContentParser, LifecycleAction, java.io.IOException> parse) {
        return new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(name), parse);
    }

    private static NamedXContentRegistry registry() {
        CheckedFunction<XContentParser, LifecycleType, java.io.IOException> type = parser -> TimeseriesLifecycleType.INSTANCE;
        return new NamedXContentRegistry(List.of(
            new NamedXContentRegistry.Entry(LifecycleType.class, new ParseField(TimeseriesLifecycleType.TYPE), type),
            action("allocate", AllocateAction::parse),
            action("delete", DeleteAction::parse),
            action("forcemerge", ForceMergeAction::parse),
            action("migrate", MigrateAction::parse),
            action("readonly", ReadOnlyAction::parse),
            action("rollover", RolloverAction::parse),
            action("set_priority", SetPriorityAction::parse),
            action("shrink", ShrinkAction::parse),
            action("wait_for_snapshot", WaitForSnapshotAction::parse)));
    }

    private static ToXContent read(String kind, XContentParser parser, String name) throws Exception {
        if (kind.equals("ilm")) {
            LifecyclePolicy policy = LifecyclePolicy.parse(parser, name);
            policy.validate();
            return policy;
        }
        SnapshotLifecyclePolicy policy = SnapshotLifecyclePolicy.parse(parser, name);
        Exception refused = policy.validate();
        if (refused != null) {
            throw refused;
        }
        return policy;
    }

    public static void main(String[] arguments) throws Exception {
        XContentParserConfiguration configuration = XContentParserConfiguration.EMPTY.withRegistry(registry());
        for (String file : List.of(arguments).subList(1, arguments.length)) {
            Path path = Path.of(file);
            String name = path.getFileName().toString().replaceFirst("\\.json$", "");
            try (XContentParser parser = JsonXContent.jsonXContent.createParser(configuration, Files.readString(path))) {
                System.out.println(Strings.toString(read(arguments[0], parser, name)));
            } catch (Exception error) {
                Throwable cause = error;
                while (cause.getCause() != null) {
                    cause = cause.getCause();
                }
                System.out.println("REFUSED " + cause);
            }
        }
    }
}
