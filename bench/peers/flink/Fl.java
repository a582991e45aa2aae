package rp1;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Stream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * The reference workload on Flink, a cluster inside this process. Arguments name=value: broker app in out dir guarantee(exactly_once|at_least_once) commit_ms linger_ms buffer_ms
 * backend(rocksdb|hashmap) parallelism managed restore(auto|none) keys(aligned|plain); any name with a dot in it is an option of Flink's own.
 */
public final class Fl {
	private static final Map<String, String> OPTIONS = new HashMap<>();
	private static final int KEY_GROUPS = 128;

	private static String option(String name, String otherwise) {
		return OPTIONS.getOrDefault(name, otherwise);
	}

	// ---- the user's state ----

	public static final class StateSerializer extends TypeSerializer<Rp1.State> {
		private final byte[] bytes = new byte[Rp1.STATE];

		@Override
		public boolean isImmutableType() {
			return false;
		}

		@Override
		public TypeSerializer<Rp1.State> duplicate() {
			return new StateSerializer();
		}

		@Override
		public Rp1.State createInstance() {
			return new Rp1.State();
		}

		@Override
		public Rp1.State copy(Rp1.State from) {
			return copy(from, new Rp1.State());
		}

		@Override
		public Rp1.State copy(Rp1.State from, Rp1.State to) {
			to.copyFrom(from);
			return to;
		}

		@Override
		public int getLength() {
			return Rp1.STATE;
		}

		@Override
		public void serialize(Rp1.State state, DataOutputView out) throws IOException {
			state.write(bytes);
			out.write(bytes, 0, Rp1.STATE);
		}

		@Override
		public Rp1.State deserialize(DataInputView in) throws IOException {
			return deserialize(new Rp1.State(), in);
		}

		@Override
		public Rp1.State deserialize(Rp1.State state, DataInputView in) throws IOException {
			in.readFully(bytes, 0, Rp1.STATE);
			state.read(bytes);
			return state;
		}

		@Override
		public void copy(DataInputView in, DataOutputView out) throws IOException {
			out.write(in, Rp1.STATE);
		}

		@Override
		public boolean equals(Object other) {
			return other instanceof StateSerializer;
		}

		@Override
		public int hashCode() {
			return 7;
		}

		@Override
		public TypeSerializerSnapshot<Rp1.State> snapshotConfiguration() {
			return new Snapshot();
		}
	}

	public static final class Snapshot extends SimpleTypeSerializerSnapshot<Rp1.State> {
		public Snapshot() {
			super(StateSerializer::new);
		}
	}

	// ---- the job ----

	/** The first byte of the header is always 0: it carries the input's partition to the operator. */
	public static final class Read implements KafkaRecordDeserializationSchema<byte[]> {
		@Override
		public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<byte[]> out) {
			byte[] value = record.value();
			value[0] = (byte) record.partition();
			out.collect(value);
		}

		@Override
		public TypeInformation<byte[]> getProducedType() {
			return PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
		}
	}

	/**
	 * The user, spelt so that all users of one input partition meet in one subtask: only there do item factors learn from the same events in the same order as in the other systems.
	 * A Long hashes to high ^ low: high is the user, low makes the hash any that Flink assigns to the wanted subtask. keys=plain is the usual keyBy, whose decisions cannot be compared.
	 */
	public static final class Key implements KeySelector<byte[], Long> {
		private final boolean aligned;
		private final int parallelism;

		Key(boolean aligned, int parallelism) {
			this.aligned = aligned;
			this.parallelism = parallelism;
		}

		@Override
		public Long getKey(byte[] value) {
			long user = Rp1.userOf(value);
			if (!aligned || parallelism == 1)
				return user;
			int wanted = value[0] % parallelism, hash = (int) Rp1.mix(user);
			while (KeyGroupRangeAssignment.computeOperatorIndexForKeyGroup(KEY_GROUPS, parallelism, KeyGroupRangeAssignment.computeKeyGroupForKeyHash(hash, KEY_GROUPS)) != wanted)
				hash++;
			return user << 32 | ((int) user ^ hash) & 0xffffffffL;
		}
	}

	public static final class Decide extends KeyedProcessFunction<Long, byte[], byte[]> {
		private transient Rp1 rp1;
		private transient ValueState<Rp1.State> users;

		@Override
		public void open(OpenContext context) {
			rp1 = new Rp1();
			users = getRuntimeContext().getState(new ValueStateDescriptor<>("users", new StateSerializer()));
		}

		@Override
		public void processElement(byte[] event, Context context, Collector<byte[]> out) throws Exception {
			rp1.decode(event);
			Rp1.State state = users.value();
			if (state == null) {
				state = new Rp1.State();
				state.init(rp1.user);
			}
			byte[] decision = rp1.apply(state, event[0]);
			if (decision == null)
				return;
			users.update(state);
			out.collect(decision);
		}
	}

	public static final class Write implements KafkaRecordSerializationSchema<byte[]> {
		private final String topic;

		Write(String topic) {
			this.topic = topic;
		}

		@Override
		public ProducerRecord<byte[], byte[]> serialize(byte[] decision, KafkaSinkContext context, Long timestamp) {
			return new ProducerRecord<>(topic, null, null, Long.toString(Rp1.userOf(decision)).getBytes(StandardCharsets.ISO_8859_1), decision);
		}
	}

	// ---- settings ----

	/** The newest completed checkpoint below @dir. */
	private static Optional<Path> newestCheckpoint(String dir) throws IOException {
		try (Stream<Path> files = Files.walk(Paths.get(dir))) {
			return files.filter(file -> file.getFileName().toString().equals("_metadata")).max(Comparator.comparingLong(file -> file.toFile().lastModified()));
		}
	}

	private static Configuration configuration(String dir, boolean exact) throws IOException {
		Map<String, String> c = new HashMap<>();
		c.put("state.backend.type", option("backend", "rocksdb"));
		c.put("execution.checkpointing.incremental", "true");
		c.put("execution.checkpointing.dir", "file://" + dir);
		c.put("execution.checkpointing.interval", option("commit_ms", "1000") + "ms");
		c.put("execution.checkpointing.mode", exact ? "EXACTLY_ONCE" : "AT_LEAST_ONCE");
		c.put("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
		c.put("execution.checkpointing.max-concurrent-checkpoints", "1");
		c.put("execution.buffer-timeout.interval", option("buffer_ms", "100") + "ms");
		c.put("taskmanager.memory.managed.size", option("managed", "1g"));
		c.put("taskmanager.memory.network.min", "128m");
		c.put("taskmanager.memory.network.max", "128m");
		c.put("taskmanager.numberOfTaskSlots", "2");
		c.put("restart-strategy.type", "none");
		c.put("state.backend.rocksdb.localdir", dir + "/local");
		c.put("state.backend.rocksdb.compression.per.level", "NO_COMPRESSION");
		c.put("state.backend.rocksdb.use-bloom-filter", "true");
		c.put("pipeline.object-reuse", "true");
		c.put("pipeline.operator-chaining.enabled", "true");
		c.put("metrics.latency.interval", "0");
		c.put("rest.port", "0");
		if (option("restore", "none").equals("auto")) {
			Optional<Path> newest = newestCheckpoint(dir);
			if (newest.isPresent())
				c.put("execution.state-recovery.path", newest.get().getParent().toUri().toString());
			System.err.println("restored from " + newest);
		}
		OPTIONS.forEach((name, value) -> {
			if (name.contains("."))
				c.put(name, value);
		});
		return Configuration.fromMap(c);
	}

	private static KafkaSource<byte[]> source(String broker) {
		Properties p = new Properties();
		p.put("max.poll.records", "5000");
		p.put("max.partition.fetch.bytes", "4194304");
		p.put("fetch.max.wait.ms", "100");
		p.put("check.crcs", "false");
		p.put("receive.buffer.bytes", "1048576");
		p.put("partition.discovery.interval.ms", "-1");
		p.put("register.consumer.metrics", "false");
		return KafkaSource.<byte[]>builder().setBootstrapServers(broker).setTopics(option("in", "rp-events")).setGroupId(option("app", "rp1"))
			.setStartingOffsets(OffsetsInitializer.earliest()).setDeserializer(new Read()).setProperties(p).build();
	}

	private static KafkaSink<byte[]> sink(String broker, boolean exact) {
		Properties p = new Properties();
		p.put("linger.ms", option("linger_ms", "20"));
		p.put("batch.size", "1000000");
		p.put("compression.type", "lz4");
		p.put("buffer.memory", "134217728");
		p.put("send.buffer.bytes", "1048576");
		p.put("transaction.timeout.ms", "60000");
		p.put("register.producer.metrics", "false");
		return KafkaSink.<byte[]>builder().setBootstrapServers(broker).setKafkaProducerConfig(p).setRecordSerializer(new Write(option("out", "rp-dec")))
			.setDeliveryGuarantee(exact ? DeliveryGuarantee.EXACTLY_ONCE : DeliveryGuarantee.AT_LEAST_ONCE).setTransactionalIdPrefix(option("app", "rp1") + "-")
			.setTransactionNamingStrategy(TransactionNamingStrategy.INCREMENTING).build();
	}

	public static void main(String[] arguments) throws Exception {
		for (String argument : arguments)
			OPTIONS.put(argument.substring(0, argument.indexOf('=')), argument.substring(argument.indexOf('=') + 1));
		String broker = option("broker", "127.0.0.1:9092"), dir = option("dir", "flink-state");
		int parallelism = Integer.parseInt(option("parallelism", "2"));
		boolean exact = option("guarantee", "exactly_once").equals("exactly_once");
		StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(parallelism, configuration(dir, exact));
		env.setMaxParallelism(KEY_GROUPS);
		env.getConfig().enableObjectReuse();
		env.fromSource(source(broker), WatermarkStrategy.noWatermarks(), "events").uid("events").keyBy(new Key(option("keys", "aligned").equals("aligned"), parallelism), Types.LONG)
			.process(new Decide(), PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO).uid("rp1").sinkTo(sink(broker, exact)).uid("decisions");
		env.execute("rp1");
	}
}
