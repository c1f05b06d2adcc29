# Every setting of the host as an option, under its name in the environment. What is null is not set, and
# the host's own default holds. A test compares the names with those of `agent-service --help`.
{ lib }:
let
  inherit (lib) types;

  setting = type: example: description: lib.mkOption {
    type = types.nullOr type;
    default = null;
    inherit example description;
  };

  # A duration as the host reads it: seconds, or a text.
  time = types.either types.ints.unsigned (types.strMatching "[0-9]+(ms|s|m|h|d)");
  # A path on the machine that runs the host: as text, or Nix would copy a key into the store.
  file = types.strMatching "/.*";
  oneOf = types.enum;
in
{
  NATS_URL = setting types.str "tls://nats-1:4222,tls://nats-2:4222" "Servers, comma-separated.";
  NATS_CREDS = setting file "/run/secrets/agent-service.creds" "Credentials file.";
  NATS_NKEY = setting file "/run/secrets/agent-service.nk" "File with an nkey seed.";
  NATS_USER = setting types.str "agent-service" "User name; its password belongs into `environmentFile`.";
  NATS_TLS_CA = setting file "/etc/agent-service/ca.pem" "PEM file with the CA of the servers' certificates; TLS is then required.";
  NATS_TLS_CERT = setting file "/etc/agent-service/host.pem" "PEM file with the own certificate.";
  NATS_TLS_KEY = setting file "/run/secrets/host-key.pem" "PEM file with its key.";
  NATS_INBOX_PREFIX = setting types.str "_INBOX.host" "What the subjects of replies begin with.";
  NATS_JS_DOMAIN = setting types.str "site-a" "JetStream domain, on leaf nodes.";
  NATS_CONNECT_TIMEOUT = setting time "30s" "How long to try at first; a connection lost later is tried for ever.";

  STREAM_NAME = setting types.str "AGENT_EVENTS" "Stream of the agent domain.";
  STREAM_LAYOUT = setting (oneOf [ "split" "combined" ]) "split" "Subjects of a stream that the service makes.";
  STREAM_REPLICAS = setting (types.ints.between 1 5) 3 "Servers that keep a stream or bucket that the service makes.";
  STREAM_MAX_AGE = setting time "365d" "After what time events leave a stream that the service makes; 0 for never.";

  SNAPSHOT_FREQUENCY = setting types.ints.positive 100 "A snapshot is taken every so many events of an aggregate.";
  SNAPSHOT_WRITE_BEHIND = setting (types.ints.between 0 1000) 20 "Snapshots a second, beside those, of aggregates that have changed; 0 for none.";
  SNAPSHOT_BEFORE_EXPIRY = setting time "30d" "How long before events leave their stream a snapshot must cover them.";
  SNAPSHOT_STORE = setting (oneOf [ "jetstream" "memory" ]) "jetstream" "Where snapshots are kept.";

  QUEUE_GROUP = setting types.str "agent-workers" "Queue group that hosts share requests in.";
  INBOX = setting (oneOf [ "on" "off" ]) "on" "Whether this host executes commands of the durable lane.";
  INBOX_TRIES = setting (types.ints.between 1 100) 5 "Tries of a durable command that its plugin fails.";

  PLUGIN_DIR = setting file "/var/lib/agent-service/plugins" "Directory with the plugins, watched.";
  PLUGIN_SOURCE = setting (oneOf [ "dir" "nats" ]) "dir" "Where plugins come from: the directory, or the fleet's buckets.";
  PLUGIN_TRUSTED_KEYS = setting types.str "UAB…" "Public nkeys, comma-separated: plugins must bear the signature of one of them.";
  PLUGIN_CACHE_DIR = setting (types.either file (oneOf [ "" ])) "/var/cache/agent-service" "Directory for compiled plugins; empty for none.";
  PLUGIN_COMPILE_TIME_MAX = setting time "60s" "Longest time to wait for a plugin to be compiled.";
  PLUGIN_GATE_TIME = setting time "30s" "Longest time a plugin is held against what is recorded.";
  PLUGIN_GATE_AGGREGATES = setting (types.ints.between 1 100000) 10000 "Most aggregates it is held against.";
  PLUGIN_PROBATION = setting time "60s" "How long after a swap failures put the plugin before back; 0 for never.";
  PLUGIN_PROBATION_FAILURES = setting types.ints.unsigned 3 "Failures that are let pass in that time.";
  PLUGIN_TRIAL_SHARE = setting (types.ints.between 0 100) 1 "Commands of a hundred whose events are tried on a copy first.";
  PLUGIN_DEADLINE = setting time "1s" "Longest time one call of a plugin may take.";
  PLUGIN_MEMORY_MAX = setting (types.ints.between 1048576 4294967296) 67108864 "Memory of one plugin instance in bytes.";

  CACHE_CAPACITY = setting (types.ints.between 1 100000) 10000 "Live aggregates that a host keeps, per domain.";
  COMMAND_BYTES_MAX = setting types.ints.positive 262144 "Largest payload of a command or query in bytes.";
  APPEND_TIMEOUT = setting time "5s" "How long to wait for JetStream to acknowledge events.";

  HTTP_ADDR = setting types.str "127.0.0.1:8080" "Address of health and metrics.";
  LOG_LEVEL = setting types.str "info,plugin=debug" "A level, or a filter per module.";
  LOG_FORMAT = setting (oneOf [ "text" "json" ]) "json" "Form of log lines.";
  OTEL_EXPORTER_OTLP_ENDPOINT = setting types.str "http://localhost:4318" "Collector that traces are exported to over OTLP.";
  CONFIG_FILE = setting file "/etc/agent-service/agent-service.toml" "TOML file with settings; these options come before it.";
}
