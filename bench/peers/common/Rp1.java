package rp1;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The rules of the reference workload, shared by the Java peers: Avro read and written by hand on byte arrays, no garbage but the records that leave.
 * One instance per task; not thread safe. The item factors belong to the instance and are not durable.
 */
public final class Rp1 {
	public static final int ADS = 256, RANK = 32, CATEGORIES = 40, RING = 16, STATE = 476;
	private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
	private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, LE);
	private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, LE);
	private static final VarHandle FLOAT = MethodHandles.byteArrayViewVarHandle(float[].class, LE);
	private static final VarHandle DOUBLE = MethodHandles.byteArrayViewVarHandle(double[].class, LE);
	private static final double DECAY_PER_MS = Math.log(2) / 3.6e6;
	/** The ads by rank, so that the compiler vectorises the scoring loop over them. */
	private static final float[][] AD = new float[RANK][ADS];

	static {
		for (int a = 0; a < ADS; a++)
			for (int k = 0; k < RANK; k++)
				AD[k][a] = startValue(0xADL * 1000003 + a, k) * 10f;
	}

	static long mix(long z) {
		z += 0x9E3779B97F4A7C15L;
		z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
		z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
		return z ^ (z >>> 31);
	}

	/** Uniform in ±0.05. */
	static float startValue(long id, int k) {
		return ((mix(id * 64 + k) >>> 40) * (1f / (1 << 24)) - 0.5f) * 0.1f;
	}

	/** What is kept of a user: 476 bytes in every system. */
	public static final class State {
		final long[] ring = new long[RING];
		final float[] interests = new float[CATEGORIES], factors = new float[RANK];
		int next;
		long events, views, carts, purchases, lastTs;
		double spend, activity;

		public void init(long user) {
			Arrays.fill(ring, 0);
			Arrays.fill(interests, 0);
			next = 0;
			events = views = carts = purchases = lastTs = 0;
			spend = activity = 0;
			for (int k = 0; k < RANK; k++)
				factors[k] = startValue(user, k);
		}

		public void read(byte[] b) {
			for (int i = 0; i < RING; i++)
				ring[i] = (long) LONG.get(b, 8 * i);
			next = (int) INT.get(b, 128);
			events = (long) LONG.get(b, 132);
			views = (long) LONG.get(b, 140);
			carts = (int) INT.get(b, 148);
			purchases = (int) INT.get(b, 152) & 0xffffffffL;
			lastTs = (long) LONG.get(b, 160);
			spend = (double) DOUBLE.get(b, 168);
			activity = (double) DOUBLE.get(b, 176);
			for (int i = 0; i < CATEGORIES; i++)
				interests[i] = (float) FLOAT.get(b, 184 + 4 * i);
			for (int k = 0; k < RANK; k++)
				factors[k] = (float) FLOAT.get(b, 344 + 4 * k);
		}

		public void write(byte[] b) {
			for (int i = 0; i < RING; i++)
				LONG.set(b, 8 * i, ring[i]);
			INT.set(b, 128, next);
			LONG.set(b, 132, events);
			LONG.set(b, 140, views);
			INT.set(b, 148, (int) carts);
			INT.set(b, 152, (int) purchases);
			LONG.set(b, 160, lastTs);
			DOUBLE.set(b, 168, spend);
			DOUBLE.set(b, 176, activity);
			for (int i = 0; i < CATEGORIES; i++)
				FLOAT.set(b, 184 + 4 * i, interests[i]);
			for (int k = 0; k < RANK; k++)
				FLOAT.set(b, 344 + 4 * k, factors[k]);
		}

		public void copyFrom(State s) {
			System.arraycopy(s.ring, 0, ring, 0, RING);
			System.arraycopy(s.interests, 0, interests, 0, CATEGORIES);
			System.arraycopy(s.factors, 0, factors, 0, RANK);
			next = s.next;
			events = s.events;
			views = s.views;
			carts = s.carts;
			purchases = s.purchases;
			lastTs = s.lastTs;
			spend = s.spend;
			activity = s.activity;
		}
	}

	// ---- the event decoded last ----

	public long user;
	private byte[] body;
	private int at, idAt, idLength, type, category;
	private long item, ts, hash;
	private double price;

	private long readLong() {
		final byte[] b = body;
		int i = at, shift = 0;
		long bits = 0;
		byte x;
		for (; (x = b[i++]) < 0; shift += 7)
			bits |= (long) (x & 127) << shift;
		bits |= (long) x << shift;
		at = i;
		return (bits >>> 1) ^ -(bits & 1);
	}

	/** Only the user's number, of an event or a decision: what Flink routes by. */
	public static long userOf(byte[] b) {
		int i = 5, shift = 0, length = 0;
		long bits = 0;
		byte x;
		for (; (x = b[i++]) < 0; shift += 7)
			length |= (x & 127) << shift;
		length |= x << shift;
		i += length >>> 1;
		for (shift = 0; (x = b[i++]) < 0; shift += 7)
			bits |= (long) (x & 127) << shift;
		bits |= (long) x << shift;
		return (bits >>> 1) ^ -(bits & 1);
	}

	public void decode(byte[] value) {
		body = value;
		at = 5;
		idLength = (int) readLong();
		idAt = at;
		long h = 0xcbf29ce484222325L;
		for (int i = idAt, end = idAt + idLength; i < end; i++)
			h = (h ^ (value[i] & 0xff)) * 0x100000001b3L;
		hash = h;
		at += idLength;
		user = readLong();
		item = readLong();
		type = (int) readLong();
		ts = readLong();
		price = 0;
		if (readLong() != 0) {
			price = (double) DOUBLE.get(value, at);
			at += 8;
		}
		category = (int) readLong();
		// channel and url are not used, but a decoder has passed over them
		int length = (int) readLong();
		at += length;
		length = (int) readLong();
		at += length;
	}

	// ---- the rules ----

	private float[][][] items = new float[64][][];
	private final float[] scores = new float[ADS];
	private final byte[] out = new byte[512];

	/** The decision for the decoded event of an input partition; null for a duplicate, whose user is untouched. */
	public byte[] apply(State s, int partition) {
		if (isDuplicate(s))
			return null;
		updateProfile(s);
		learn(s.factors, itemFactors(partition));
		int best = choose(s);
		return encode(best, scores[best]);
	}

	private boolean isDuplicate(State s) {
		final long[] ring = s.ring;
		boolean found = false;
		for (int i = 0; i < RING; i++)
			found |= ring[i] == hash;
		if (!found)
			ring[s.next++ & (RING - 1)] = hash;
		return found;
	}

	private void updateProfile(State s) {
		long passed = ts - s.lastTs;
		if (passed > 0) {
			double decay = Math.exp(-passed * DECAY_PER_MS);
			float decayed = (float) decay;
			final float[] interests = s.interests;
			s.activity *= decay;
			for (int i = 0; i < CATEGORIES; i++)
				interests[i] *= decayed;
			s.lastTs = ts;
		}
		s.activity += 1;
		s.interests[category] += 1f;
		s.events++;
		if (type == 0)
			s.views++;
		else if (type == 1)
			s.carts++;
		else
			s.purchases++;
		s.spend += price;
	}

	private float[] itemFactors(int partition) {
		int number = (int) item;
		float[][] known = items[partition];
		if (known == null)
			known = items[partition] = new float[1024][];
		if (number >= known.length)
			known = items[partition] = Arrays.copyOf(known, Math.max(number + 1, known.length * 2));
		float[] factors = known[number];
		if (factors == null) {
			factors = known[number] = new float[RANK];
			for (int k = 0; k < RANK; k++)
				factors[k] = startValue(item + 0x517CC1B727220A95L, k);
		}
		return factors;
	}

	/** Four sums side by side: one chain of additions would wait for itself. */
	private void learn(float[] p, float[] q) {
		float d0 = 0, d1 = 0, d2 = 0, d3 = 0;
		for (int k = 0; k < RANK; k += 4) {
			d0 += p[k] * q[k];
			d1 += p[k + 1] * q[k + 1];
			d2 += p[k + 2] * q[k + 2];
			d3 += p[k + 3] * q[k + 3];
		}
		final float pull = (type == 0 ? 1f : type == 1 ? 3f : 5f) * (1f - (d0 + d1 + d2 + d3));
		for (int k = 0; k < RANK; k++) {
			float a = p[k], b = q[k];
			p[k] = a + 0.05f * (pull * b - 0.01f * a);
			q[k] = b + 0.05f * (pull * a - 0.01f * b);
		}
	}

	private int choose(State s) {
		final float[] sc = scores, p = s.factors;
		for (int a = 0; a < 240; a += CATEGORIES)
			System.arraycopy(s.interests, 0, sc, a, CATEGORIES);
		System.arraycopy(s.interests, 0, sc, 240, 16);
		scale(sc);
		for (int k = 0; k < RANK; k += 4)
			addFour(sc, p[k], p[k + 1], p[k + 2], p[k + 3], AD[k], AD[k + 1], AD[k + 2], AD[k + 3]);
		int best = 0;
		float most = sc[0];
		for (int a = 1; a < ADS; a++)
			if (sc[a] > most) {
				most = sc[a];
				best = a;
			}
		return best;
	}

	private static void scale(float[] sc) {
		for (int a = 0; a < ADS; a++)
			sc[a] *= 0.1f;
	}

	/** A method of its own, so that C2 compiles and vectorises just this loop. */
	private static void addFour(float[] sc, float p0, float p1, float p2, float p3, float[] a0, float[] a1, float[] a2, float[] a3) {
		for (int a = 0; a < ADS; a++)
			sc[a] += p0 * a0[a] + p1 * a1[a] + p2 * a2[a] + p3 * a3[a];
	}

	private static int writeLong(byte[] b, int i, long value) {
		long bits = (value << 1) ^ (value >> 63);
		for (; (bits & ~127L) != 0; bits >>>= 7)
			b[i++] = (byte) (bits | 128);
		b[i++] = (byte) bits;
		return i;
	}

	private byte[] encode(int ad, float score) {
		final byte[] b = out;
		b[4] = 2;
		int i = writeLong(b, 5, idLength);
		System.arraycopy(body, idAt, b, i, idLength);
		i = writeLong(b, i + idLength, user);
		i = writeLong(b, i, ad);
		FLOAT.set(b, i, score);
		i = writeLong(b, i + 4, ts);
		return Arrays.copyOf(b, i);
	}
}
