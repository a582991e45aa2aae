# leat: one Makefile. `make run` and `make test` do everything on a fresh Debian 12; `make help` lists the rest.

# ---- what may be set: make CC=clang, make BUILD=build-x OPT='-O0 -g', make install PREFIX=/usr DESTDIR=/tmp/x ----

VERSION   := 0.1.0
SOVERSION := 0
BUILD     ?= build
ifeq ($(origin CC),default)
CC        := gcc
endif
ifeq ($(origin CXX),default)
CXX       := $(if $(findstring clang,$(CC)),clang++,g++)
endif
OPT       ?= -O2 -g
SAFE      ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong
ALLOCATOR ?= -ljemalloc
CFLAGS    ?=
LDFLAGS   ?=
PREFIX    ?= /usr/local
JOBS      ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 60

# ---- how things are compiled and linked ----

PKGS     := rdkafka avro-c rocksdb openblas lapacke libuv libcyaml yaml-0.1 jansson libcurl libxxhash libcrypto zlib liblzma
WARN     := -Wall -Wextra -Werror
WARN_C   := -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes
# Sums keep the order and the rounding that the source says (no contraction): the same bytes from gcc and clang, with and without vector units.
CODE     := -fPIC -fno-semantic-interposition -ffp-contract=off -fno-omit-frame-pointer
INCS     := -I. $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
ALLC     := -std=c11 -D_GNU_SOURCE -DLEAT_VERSION='"$(VERSION)"' $(WARN) $(WARN_C) $(OPT) $(SAFE) $(CODE) $(INCS) $(CFLAGS)
# No vptr checks: programs are linked as C, and RocksDB is built without them.
ALLCXX   := -std=c++17 $(WARN) $(OPT) -fno-sanitize=vptr $(SAFE) $(CODE) $(INCS) $(CFLAGS)
LIBS     := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm -lpthread -lstdc++
HARD     := -Wl,-z,relro,-z,now -Wl,--as-needed
LINK     := $(CC) -pie $(OPT) $(HARD) $(CFLAGS) $(LDFLAGS)

# ---- what there is: found, not listed ----

LIB_DIRS   := base schemas state stream operators operators/model
LIB_SRC    := $(foreach d,$(LIB_DIRS),$(wildcard $(d)/*.c $(d)/*.cc))
CLI_SRC    := $(wildcard cli/*.c serve/*.c)
TEST_ALL   := $(shell find tests -name '*.c' | LC_ALL=C sort)
TEST_SRC   := $(filter %_test.c,$(TEST_ALL))
TOOL_SRC   := $(filter %_tool.c,$(TEST_ALL))
FUZZ_SRC   := $(filter %_fuzz.c,$(TEST_ALL))
HELP_SRC   := $(filter-out $(TEST_SRC) $(TOOL_SRC) $(FUZZ_SRC),$(TEST_ALL))
BENCH_SRC  := $(wildcard bench/micro/*_bench.c)
RP1_TOOLS  := gen check sink topic
OPERATORS  := $(sort $(patsubst operators/%.c,%,$(wildcard operators/*.c)))
# Installed as leat/<name>.h: what an operator or an embedding program includes.
PUBLIC     := $(wildcard base/error.h base/column.h base/row.h stream/operator.h stream/leat.h)

OPERATORS_LIST := $(BUILD)/gen/operators_list.c
LIB_OBJ    := $(patsubst %,$(BUILD)/obj/%.o,$(LIB_SRC)) $(BUILD)/obj/gen/operators_list.c.o
MAIN_OBJ   := $(BUILD)/obj/cli/main.c.o
CLI_OBJ    := $(filter-out $(MAIN_OBJ),$(patsubst %,$(BUILD)/obj/%.o,$(CLI_SRC)))
HELP_OBJ   := $(patsubst %,$(BUILD)/obj/%.o,$(HELP_SRC))
TEST_BIN   := $(patsubst %.c,$(BUILD)/%,$(TEST_SRC))
TOOL_BIN   := $(patsubst %.c,$(BUILD)/%,$(TOOL_SRC))
FUZZ_BIN   := $(patsubst %.c,$(BUILD)/%,$(FUZZ_SRC))
BENCH_BIN  := $(patsubst bench/micro/%.c,$(BUILD)/bench/%,$(BENCH_SRC))
RP1_BIN    := $(patsubst %,$(BUILD)/bench/rp1/%,$(RP1_TOOLS) floor)
PEER_JARS  := $(BUILD)/bench/peers/kafka-streams/built $(BUILD)/bench/peers/flink/built
TEST_LIBS  := $(BUILD)/libtests.a $(BUILD)/libcli.a $(BUILD)/libleat.a
LIBLEAT    := $(BUILD)/libleat.a
LIBSO      := $(BUILD)/libleat.so.$(VERSION)

# One short line per step; V=1 shows the commands.
Q           := $(if $(V),,@)
say         = @$(if $(V),:,printf '  %-5s %s\n' $(1) $(2))
# Writes the target only when its content changes.
INTO        = > $@.new && if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# ---- building ----

all: $(BUILD)/leat $(LIBLEAT) $(LIBSO)  ## build/leat, build/libleat.a, build/libleat.so
lib: $(LIBLEAT)                       ## only build/libleat.a
tests: $(TEST_BIN) $(TOOL_BIN)        ## every test program, without running it

# A new compiler or new flags rebuild everything; the same ones nothing.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(CC) $(ALLC) $(CXX) $(ALLCXX))' $(INTO)
# The list of operators is what lies in operators/: a constructor would be lost in a static library.
$(OPERATORS_LIST): FORCE
	@mkdir -p $(@D)
	@{ echo '/* Every operator of operators/, made by the Makefile. */'; \
	   echo '#include "stream/operators_list.h"'; echo; \
	   for o in $(OPERATORS); do echo "extern const struct leat_operator operator_$$o;"; done; echo; \
	   echo 'const struct leat_operator *const leat_operators[] = {'; \
	   for o in $(OPERATORS); do echo "	&operator_$$o,"; done; \
	   echo '	NULL,'; echo '};'; } $(INTO)
$(BUILD)/obj/gen/%.c.o: $(BUILD)/gen/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,cc,$<)
	$(Q)$(CC) $(ALLC) -MMD -MP -c $< -o $@
$(BUILD)/obj/%.c.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,cc,$<)
	$(Q)$(CC) $(ALLC) -MMD -MP -c $< -o $@
$(BUILD)/obj/%.cc.o: %.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,c++,$<)
	$(Q)$(CXX) $(ALLCXX) -MMD -MP -c $< -o $@

$(LIBLEAT): $(LIB_OBJ)
	@rm -f $@
	$(call say,ar,$@)
	$(Q)ar rcs $@ $^
$(BUILD)/gen/exports.map: FORCE
	@mkdir -p $(@D)
	@echo '{ global: leat_*; operator_*; local: *; };' $(INTO)
$(LIBSO): $(LIB_OBJ) $(BUILD)/gen/exports.map
	$(call say,link,$@)
	$(Q)$(CC) -shared -Wl,-soname,libleat.so.$(SOVERSION) -Wl,--no-undefined -Wl,--version-script=$(BUILD)/gen/exports.map $(OPT) $(HARD) $(CFLAGS) $(LDFLAGS) $(LIB_OBJ) -o $@ $(LIBS)
	@ln -sf $(@F) $(BUILD)/libleat.so.$(SOVERSION) && ln -sf $(@F) $(BUILD)/libleat.so
$(BUILD)/leat: $(MAIN_OBJ) $(BUILD)/libcli.a $(LIBLEAT)
	$(call say,link,$@)
	$(Q)$(LINK) $^ -o $@ $(ALLOCATOR) $(LIBS)
# The verbs but not main(), so that tests can call them; and what the tests share.
$(BUILD)/libcli.a: $(CLI_OBJ)
$(BUILD)/libtests.a: $(HELP_OBJ)
$(BUILD)/libcli.a $(BUILD)/libtests.a:
	@mkdir -p $(@D) && rm -f $@
	$(call say,ar,$@)
	$(Q)ar rcs $@ $^
$(TEST_BIN) $(TOOL_BIN): $(BUILD)/%: $(BUILD)/obj/%.c.o $(TEST_LIBS)
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(LINK) $^ -o $@ -lcmocka $(LIBS)
$(FUZZ_BIN): $(BUILD)/%: $(BUILD)/obj/%.c.o $(TEST_LIBS)
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(LINK) -fsanitize=fuzzer $^ -o $@ -lcmocka $(LIBS)
$(BENCH_BIN): $(BUILD)/bench/%: $(BUILD)/obj/bench/micro/%.c.o $(LIBLEAT)
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(LINK) $^ -o $@ $(ALLOCATOR) $(LIBS)

$(patsubst %,$(BUILD)/bench/rp1/%,$(RP1_TOOLS)): $(BUILD)/bench/rp1/%: $(BUILD)/obj/bench/rp1/%.c.o $(BUILD)/obj/bench/rp1/rp1.c.o
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(LINK) $^ -o $@ -lrdkafka -lm
# What the machine allows: with every liberty that leat, which promises the same bytes everywhere, does not take.
FLOOR_OPT ?= -O3 -march=x86-64-v3 -ffast-math
$(BUILD)/bench/rp1/floor: bench/rp1/floor.c
	@mkdir -p $(@D)
	$(call say,cc,$@)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(WARN) $(WARN_C) $(FLOOR_OPT) $< -o $@ -lrdkafka -lrocksdb -lm
$(BUILD)/bench/peers/%/built: bench/peers/%/pom.xml bench/peers/common/Rp1.java $(wildcard bench/peers/*/*.java)
	@mkdir -p $(@D)/classes
	$(call say,java,$(@D))
	$(Q)[ -d $(@D)/libs ] || { mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(abspath $(@D))/libs.new && mv $(@D)/libs.new $(@D)/libs; }
	$(Q)javac -cp '$(@D)/libs/*' -d $(@D)/classes bench/peers/common/Rp1.java bench/peers/$*/*.java
	@touch $@

# ---- using ----

run:                                  ## install what is missing, build, run the example pipeline fed by a simulated shop; RUN_SECONDS=n ends it
	@bash scripts/run.sh
operator:                             ## NAME=x: writes operators/x.c and tests/operators/x_test.c, both working
	@bash scripts/new_operator.sh '$(NAME)'
docs: $(BUILD)/leat                   ## writes operators/REFERENCE.md from the operators themselves
	$(BUILD)/leat operators --markdown > $(BUILD)/REFERENCE.md.new
	mv $(BUILD)/REFERENCE.md.new operators/REFERENCE.md

# ---- testing ----

test:                                 ## install what is missing, build, run every test, a real Kafka broker included
	@bash scripts/install.sh build test
	@$(MAKE) --no-print-directory -j$(JOBS) all tests
	@BUILD=$(BUILD) bash tests/run.sh all
unit: tests                           ## only the tests that need no broker
	@BUILD=$(BUILD) bash tests/run.sh unit
tidy: tests $(MAIN_OBJ)                ## lengths, layers, banned calls, unused functions, generated pages
	@BUILD=$(BUILD) bash tests/tidy.sh
asan:                                 ## the unit tests under the address and undefined-behaviour sanitizers, by clang
	@bash scripts/install.sh build test clang
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=build-asan CC=clang SAFE= ALLOCATOR= OPT='-O1 -g -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined' tests
	@LABEL=asan UNIT_SECONDS=600 BUILD=build-asan bash tests/run.sh unit
tsan:                                 ## the unit tests under the thread sanitizer, by clang
	@bash scripts/install.sh build test clang
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=build-tsan CC=clang SAFE= ALLOCATOR= OPT='-O1 -g -fsanitize=thread' tests
	@LABEL=tsan UNIT_SECONDS=600 BUILD=build-tsan bash tests/run.sh unit
soak: all                             ## 200 kills of three instances, every crash point at more hits, zombies; needs a broker at BROKER
	@SOAK=1 BUILD=$(BUILD) bash tests/e2e/kills.sh
	@SOAK=1 BUILD=$(BUILD) bash tests/e2e/zombie.sh
fuzz:                                 ## every tests/fuzz/*_fuzz.c for FUZZ_SECONDS=60 each
	@bash scripts/install.sh build test clang
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=build-fuzz CC=clang SAFE= ALLOCATOR= OPT='-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined' fuzz-programs
	@BUILD=build-fuzz SECONDS_EACH=$(FUZZ_SECONDS) bash scripts/fuzz.sh $(patsubst tests/fuzz/%.c,%,$(FUZZ_SRC))
fuzz-programs: $(FUZZ_BIN)

# ---- measuring: bench/README.md ----

bench:                                ## leat, Kafka Streams, Flink and the floor side by side on a real broker: some 50 minutes on an idle machine; goes on where it was broken off
	@$(MAKE) --no-print-directory bench-ready
	@BUILD=$(BUILD) python3 bench/suite.py whole
bench-smoke:                          ## the same, small, within five minutes: every system once, the same checks
	@$(MAKE) --no-print-directory bench-ready
	@BUILD=$(BUILD) python3 bench/suite.py smoke
bench-growth:                         ## how cost grows with users, commits, ads, workers; ONLY='short' or ONLY='users commit'
	@$(MAKE) --no-print-directory bench-ready
	@BUILD=$(BUILD) python3 bench/growth.py $(ONLY)
bench-ready:
	@bash scripts/install.sh build bench
	@$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/leat $(RP1_BIN) $(PEER_JARS)
bench-micro: $(BENCH_BIN)             ## builds and runs bench/micro/*_bench.c
	@set -e; for b in $^; do echo "== $$b"; $$b; done
bench-compare:                        ## BASE=commit: its micro benches beside this tree's, with ratios; ONLY='mf ads', INSTRUCTIONS=1 counts by callgrind
	@BUILD=$(BUILD) bash bench/compare.sh '$(BASE)' $(ONLY)
bench-programs: $(BENCH_BIN)

# ---- installing ----

LIBDIR     = $(DESTDIR)$(PREFIX)/lib
INCLUDEDIR = $(DESTDIR)$(PREFIX)/include/leat
SHAREDIR   = $(DESTDIR)$(PREFIX)/share

install: all                          ## to PREFIX=/usr/local (and DESTDIR): program, libraries, headers, pkg-config files, man page, pipelines, schemas
	install -d $(DESTDIR)$(PREFIX)/bin $(LIBDIR)/pkgconfig $(INCLUDEDIR) $(SHAREDIR)/man/man1 $(SHAREDIR)/leat/pipelines/import $(SHAREDIR)/leat/schemas
	install -m 755 $(BUILD)/leat $(DESTDIR)$(PREFIX)/bin/leat
	install -m 644 $(LIBLEAT) $(LIBDIR)/libleat.a
	install -m 755 $(LIBSO) $(LIBDIR)/libleat.so.$(VERSION)
	ln -sf libleat.so.$(VERSION) $(LIBDIR)/libleat.so.$(SOVERSION)
	ln -sf libleat.so.$(VERSION) $(LIBDIR)/libleat.so
	set -e; for h in $(PUBLIC); do \
		sed -E 's|#include "(base\|stream)/([a-z_]+\.h)"|#include <leat/\2>|' $$h > $(INCLUDEDIR)/$${h##*/}; chmod 644 $(INCLUDEDIR)/$${h##*/}; done
	for p in leat leat-static; do sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@PKGS@|$(PKGS)|' scripts/templates/$$p.pc.in > $(LIBDIR)/pkgconfig/$$p.pc; done
	sed 's|@VERSION@|$(VERSION)|' man/leat.1 > $(SHAREDIR)/man/man1/leat.1
	install -m 644 $(wildcard pipelines/*.yaml) $(SHAREDIR)/leat/pipelines
	install -m 644 $(wildcard pipelines/import/*.yaml) $(SHAREDIR)/leat/pipelines/import
	install -m 644 $(wildcard schemas/*.avsc) schemas/ids.txt $(SHAREDIR)/leat/schemas
	[ -n "$(DESTDIR)" ] || ldconfig || true
uninstall:                            ## takes away what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/leat $(LIBDIR)/libleat.a $(LIBDIR)/libleat.so* $(LIBDIR)/pkgconfig/leat.pc $(LIBDIR)/pkgconfig/leat-static.pc $(SHAREDIR)/man/man1/leat.1
	rm -rf $(INCLUDEDIR) $(SHAREDIR)/leat
clean:                                ## removes build and its siblings
	rm -rf $(BUILD) build-asan build-tsan build-fuzz
help:                                 ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' Makefile | expand -t 14

.PHONY: all lib tests run operator docs test unit tidy asan tsan soak fuzz fuzz-programs bench bench-smoke bench-growth bench-ready bench-micro bench-compare bench-programs install uninstall clean help FORCE
.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
