/* The one C++ file: calls that RocksDB's C API does not have. Nothing may leave it by exception. */
#include "state/shim.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/write_buffer_manager.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

/* As in RocksDB's db/c.cc, from 5.x on; only the first member is relied upon (later versions append to some). */
extern "C" {
struct rocksdb_t { rocksdb::DB *rep; };
struct rocksdb_options_t { rocksdb::Options rep; };
struct rocksdb_cache_t { std::shared_ptr<rocksdb::Cache> rep; };
struct rocksdb_column_family_handle_t { rocksdb::ColumnFamilyHandle *rep; };
}

struct leat_shim_budget {
	std::shared_ptr<rocksdb::WriteBufferManager> manager;
};

namespace {

class FirstError : public rocksdb::EventListener {
public:
	void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status *status) override
	{
		std::lock_guard<std::mutex> guard(mutex);
		if (text.empty())
			text = status->ToString();
	}
	std::mutex mutex;
	std::string text;
};

/* RocksDB's own log file would end the process when the disk is full: an assertion of its writer fails. What matters comes as a status. */
class NoLog : public rocksdb::Logger {
public:
	using rocksdb::Logger::Logv;
	void Logv(const char *, va_list) override
	{
	}
};

/* Keys of one row set share their first two bytes. */
constexpr size_t hint_prefix = 2;

}

struct leat_shim_watch {
	std::shared_ptr<FirstError> listener;
};

struct leat_shim_budget *leat_shim_budget_open(size_t bytes, rocksdb_cache_t *cache)
{
	try {
		auto manager = std::make_shared<rocksdb::WriteBufferManager>(bytes, cache->rep);
		return new leat_shim_budget{manager};
	} catch (const std::bad_alloc &) {
		return nullptr;
	}
}

void leat_shim_budget_close(struct leat_shim_budget *budget)
{
	delete budget;
}

size_t leat_shim_budget_used(const struct leat_shim_budget *budget)
{
	return budget->manager->memory_usage();
}

void leat_shim_options(rocksdb_options_t *options, struct leat_shim_budget *budget)
{
	options->rep.write_buffer_manager = budget->manager;
	options->rep.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(hint_prefix));
	options->rep.info_log = std::make_shared<NoLog>();
	options->rep.avoid_flush_during_shutdown = true;
	options->rep.max_bgerror_resume_count = 0;
}

char *leat_shim_flush(rocksdb_t *db, rocksdb_column_family_handle_t *const *handles, size_t count, bool wait)
{
	try {
		rocksdb::FlushOptions options;
		options.wait = wait;
		options.allow_write_stall = true;
		std::vector<rocksdb::ColumnFamilyHandle *> families;
		for (size_t i = 0; i < count; i++)
			families.push_back(handles[i]->rep);
		rocksdb::Status status = db->rep->Flush(options, families);
		return status.ok() ? nullptr : strdup(status.ToString().c_str());
	} catch (const std::bad_alloc &) {
		return strdup("Out of memory");
	}
}

struct leat_shim_watch *leat_shim_watch_open(rocksdb_options_t *options)
{
	try {
		auto listener = std::make_shared<FirstError>();
		options->rep.listeners.push_back(listener);
		return new leat_shim_watch{listener};
	} catch (const std::bad_alloc &) {
		return nullptr;
	}
}

void leat_shim_watch_close(struct leat_shim_watch *watch)
{
	delete watch;
}

bool leat_shim_watch_failed(struct leat_shim_watch *watch, char *text, size_t size)
{
	std::lock_guard<std::mutex> guard(watch->listener->mutex);
	if (watch->listener->text.empty())
		return false;
	snprintf(text, size, "%s", watch->listener->text.c_str());
	return true;
}
