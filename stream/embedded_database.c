/* The embedded transport's RocksDB database: opening it with its families, and telling its errors apart. */
#include "stream/embedded_internal.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Families that are seldom written would keep old logs alive: beyond this much log they are flushed. */
static const uint64_t wal_bytes_max = 256ull << 20;

enum { LOG_HEADER_ONLY = 5 };          /* rocksdb::InfoLogLevel::HEADER_LEVEL */

static const char *family_name(int family)
{
	static const char *const own[] = { [FAMILY_TOPICS] = "topics", [FAMILY_INDEX] = "index", [FAMILY_OFFSETS] = "offsets", [FAMILY_CATALOGUE] = "catalogue" };
	return family < LEAT_FAMILIES ? leat_family_names[family] : own[family];
}

static int error_code(const char *error)
{
	static const struct {
		const char *text;
		int code;
	} known[] = {
		{ "No space left", LEAT_ENOSPC },
		{ "NoSpace", LEAT_ENOSPC },
		{ "Corruption", LEAT_ECORRUPT },
		{ "While lock file", LEAT_EBUSY },
		{ "lock hold by", LEAT_EBUSY },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(known); i++)
		if (strstr(error, known[i].text))
			return known[i].code;
	return LEAT_EIO;
}

int leat_database_fault(char *error, const char *what, struct leat_fault *fault)
{
	if (LEAT_LIKELY(!error))
		return 0;
	bool damaged = error_code(error) == LEAT_ECORRUPT;
	int code = leat_fail(fault, error_code(error), "%s%s: %s", what, damaged ? " is damaged and there is no second copy of it: put a copy of the folder back, or begin with an empty one" : "", error);
	rocksdb_free(error);
	return code;
}

static rocksdb_options_t *make_options(struct leat_storage *storage)
{
	rocksdb_options_t *options = storage ? leat_storage_options(storage, true) : rocksdb_options_create();
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_create_missing_column_families(options, 1);
	rocksdb_options_set_paranoid_checks(options, 1);
	rocksdb_options_set_max_total_wal_size(options, wal_bytes_max);
	rocksdb_options_set_keep_log_file_num(options, 2);
	/* Nothing but its first lines: RocksDB as Debian builds it aborts the process when its own log cannot be written, so a full disk could not be reported. */
	rocksdb_options_set_info_log_level(options, LOG_HEADER_ONLY);
	return options;
}

/* Records are appended and leave from the front: merging files of like size rewrites them least. */
static rocksdb_options_t *make_topic_options(struct leat_storage *storage)
{
	rocksdb_options_t *options = make_options(storage);
	rocksdb_options_set_compaction_style(options, rocksdb_universal_compaction);
	rocksdb_options_set_compression(options, rocksdb_lz4_compression);
	return options;
}

static int open_families(struct leat_embedded *embedded, const char *path, struct leat_storage *storage, struct leat_fault *fault)
{
	rocksdb_options_t *plain = make_options(storage), *topics = make_topic_options(storage);
	const char *names[FAMILY_COUNT];
	const rocksdb_options_t *options[FAMILY_COUNT];
	char *error = NULL;
	for (int i = 0; i < FAMILY_COUNT; i++) {
		names[i] = family_name(i);
		options[i] = i == FAMILY_TOPICS ? topics : plain;
	}
	embedded->db = rocksdb_open_column_families(plain, path, FAMILY_COUNT, names, options, embedded->family, &error);
	rocksdb_options_destroy(plain);
	rocksdb_options_destroy(topics);
	return leat_database_fault(error, embedded->directory.path, fault);
}

int leat_database_open(struct leat_embedded *embedded, struct leat_storage *storage, struct leat_fault *fault)
{
	char *path = leat_printf("%s/db", embedded->directory.path);
	if (!path)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for %s", embedded->directory.path);
	mkdirat(embedded->directory.fd, "db", 0700);       /* if it cannot be made, RocksDB says so */
	int rc = open_families(embedded, path, storage, fault);
	leat_free(path);
	if (rc < 0)
		return rc;
	embedded->write = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(embedded->write, embedded->settings.fsync);
	embedded->write_now = rocksdb_writeoptions_create();
	embedded->read = rocksdb_readoptions_create();
	return 0;
}

void leat_database_close(struct leat_embedded *embedded)
{
	for (int i = 0; i < FAMILY_COUNT; i++)
		if (embedded->family[i])
			rocksdb_column_family_handle_destroy(embedded->family[i]);
	if (embedded->db)
		rocksdb_close(embedded->db);
	if (embedded->write)
		rocksdb_writeoptions_destroy(embedded->write);
	if (embedded->write_now)
		rocksdb_writeoptions_destroy(embedded->write_now);
	if (embedded->read)
		rocksdb_readoptions_destroy(embedded->read);
	embedded->db = NULL;
}

int leat_database_get(struct leat_embedded *embedded, int family, const void *key, size_t length, char **value, size_t *size, struct leat_fault *fault)
{
	char *error = NULL;
	*value = rocksdb_get_cf(embedded->db, embedded->read, embedded->family[family], key, length, size, &error);
	return leat_database_fault(error, embedded->directory.path, fault);
}

int leat_database_write(struct leat_embedded *embedded, rocksdb_writebatch_t *batch, bool durable, struct leat_fault *fault)
{
	char *error = NULL;
	if (embedded->failed.code < 0)
		return leat_fail(fault, embedded->failed.code, "%s", embedded->failed.text);
	rocksdb_write(embedded->db, durable ? embedded->write : embedded->write_now, batch, &error);
	if (LEAT_LIKELY(!error))
		return 0;
	leat_database_fault(error, embedded->directory.path, &embedded->failed);
	embedded->failed.fatal = true;
	if (fault)
		*fault = embedded->failed;
	return embedded->failed.code;
}
