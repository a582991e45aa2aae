package rp1;

import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.RocksDB;

/**
 * The reference workload on Kafka Streams. Arguments name=value: broker app in out dir guarantee commit_ms linger_ms cache_mb block_cache_mb threads session_ms instance.
 */
public final class Ks {
	private static final Map<String, String> OPTIONS = new HashMap<>();

	private static String option(String name, String otherwise) {
		return OPTIONS.getOrDefault(name, otherwise);
	}

	private static final class Decide implements Processor<byte[], byte[], byte[], byte[]> {
		private final Rp1 rp1 = new Rp1();
		private final Rp1.State state = new Rp1.State();
		private ProcessorContext<byte[], byte[]> context;
		private KeyValueStore<byte[], byte[]> users;

		@Override
		public void init(ProcessorContext<byte[], byte[]> context) {
			this.context = context;
			users = context.getStateStore("users");
		}

		/** A task has one input partition, so its item factors are those of the partition. */
		@Override
		public void process(Record<byte[], byte[]> record) {
			rp1.decode(record.value());
			byte[] stored = users.get(record.key());
			if (stored == null)
				state.init(rp1.user);
			else
				state.read(stored);
			byte[] decision = rp1.apply(state, 0);
			if (decision == null)
				return;
			byte[] changed = new byte[Rp1.STATE];
			state.write(changed);
			users.put(record.key(), changed);
			context.forward(record.withValue(decision));
		}
	}

	/** One block cache for the whole process; compression stays off, because floats do not compress. */
	public static final class Rocks implements RocksDBConfigSetter {
		static {
			RocksDB.loadLibrary();
		}

		private static final org.rocksdb.Cache CACHE = new LRUCache(Long.parseLong(option("block_cache_mb", "64")) << 20);

		@Override
		public void setConfig(String store, Options options, Map<String, Object> configs) {
			BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
			table.setBlockCache(CACHE);
			table.setCacheIndexAndFilterBlocks(false);
			options.setTableFormatConfig(table);
			options.setWriteBufferSize(32L << 20);
			options.setMaxWriteBufferNumber(3);
		}

		@Override
		public void close(String store, Options options) {
		}
	}

	private static Properties properties() {
		Properties p = new Properties();
		p.put("application.id", option("app", "rp1"));
		p.put("bootstrap.servers", option("broker", "127.0.0.1:9092"));
		p.put("processing.guarantee", option("guarantee", "exactly_once_v2"));
		p.put("num.stream.threads", option("threads", "2"));
		p.put("commit.interval.ms", option("commit_ms", "1000"));
		p.put("state.dir", option("dir", "ks-state"));
		p.put("statestore.cache.max.bytes", "" + (Long.parseLong(option("cache_mb", "256")) << 20));
		p.put("replication.factor", "1");
		p.put("poll.ms", "100");
		p.put("rocksdb.config.setter", Rocks.class);
		p.put("metrics.recording.level", "INFO");
		p.put("topology.optimization", "all");
		p.put("consumer.auto.offset.reset", "earliest");
		p.put("consumer.max.poll.records", "5000");
		p.put("consumer.fetch.min.bytes", "1");
		p.put("consumer.fetch.max.wait.ms", "100");
		p.put("consumer.max.partition.fetch.bytes", "4194304");
		p.put("consumer.check.crcs", "false");
		p.put("consumer.receive.buffer.bytes", "1048576");
		p.put("producer.linger.ms", option("linger_ms", "20"));
		p.put("producer.batch.size", "1000000");
		p.put("producer.compression.type", "lz4");
		p.put("producer.buffer.memory", "134217728");
		p.put("producer.send.buffer.bytes", "1048576");
		if (OPTIONS.containsKey("session_ms")) {
			p.put("consumer.session.timeout.ms", option("session_ms", ""));
			p.put("consumer.heartbeat.interval.ms", "" + Integer.parseInt(option("session_ms", "")) / 3);
		}
		if (OPTIONS.containsKey("instance"))
			p.put("group.instance.id", option("instance", ""));
		return p;
	}

	public static void main(String[] arguments) {
		for (String argument : arguments)
			OPTIONS.put(argument.substring(0, argument.indexOf('=')), argument.substring(argument.indexOf('=') + 1));
		StoreBuilder<KeyValueStore<byte[], byte[]>> users = Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("users"), Serdes.ByteArray(), Serdes.ByteArray()).withCachingEnabled();
		Topology topology = new Topology();
		topology.addSource("events", new ByteArrayDeserializer(), new ByteArrayDeserializer(), option("in", "rp-events"));
		topology.addProcessor("decide", Decide::new, "events");
		topology.addStateStore(users, "decide");
		topology.addSink("decisions", option("out", "rp-dec"), new ByteArraySerializer(), new ByteArraySerializer(), "decide");
		KafkaStreams streams = new KafkaStreams(topology, properties());
		Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
		streams.setStateListener((now, before) -> System.err.println(System.currentTimeMillis() + " state " + before + " -> " + now));
		streams.start();
	}
}
