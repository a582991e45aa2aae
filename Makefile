# leat: one Makefile. `make` builds build/leat; the README has the two commands for newcomers, `make help` the rest.
BUILD    ?= build
CC       ?= gcc
CXX      ?= g++
PKGS     := rdkafka avro-c rocksdb openblas lapacke libuv libcyaml yaml-0.1 jansson libcurl libxxhash libcrypto jemalloc
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror
OPT      ?= -O2 -g
SAFE     ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIC
CFLAGS   ?=
INCS     := -I. $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
ALLC     := -std=c11 -D_GNU_SOURCE $(WARN) $(OPT) $(SAFE) $(INCS) -MMD -MP $(CFLAGS)
ALLCXX   := -std=c++17 -Wall -Wextra -Werror $(OPT) $(SAFE) $(INCS) -MMD -MP $(CFLAGS)
LIBS     := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm -lpthread -lstdc++

LIB_DIRS := base schemas state stream operators operators/model
LIB_SRC  := $(foreach d,$(LIB_DIRS),$(wildcard $(d)/*.c)) $(wildcard state/*.cc)
LIB_OBJ  := $(patsubst %,$(BUILD)/obj/%.o,$(LIB_SRC))
CLI_SRC  := $(wildcard cli/*.c)
CLI_OBJ  := $(patsubst %,$(BUILD)/obj/%.o,$(CLI_SRC))
TEST_SRC := $(shell find tests -name '*_test.c' 2>/dev/null)
TEST_BIN := $(patsubst %.c,$(BUILD)/%,$(TEST_SRC))

all: $(BUILD)/leat
lib: $(BUILD)/libleat.a
tests: $(TEST_BIN)

$(BUILD)/obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALLC) -c $< -o $@
$(BUILD)/obj/%.cc.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(ALLCXX) -c $< -o $@
$(BUILD)/libleat.a: $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^
$(BUILD)/leat: $(CLI_OBJ) $(BUILD)/libleat.a
	$(CC) $(OPT) $(CFLAGS) $^ -o $@ $(LIBS)
$(BUILD)/tests/%: $(BUILD)/obj/tests/%.c.o $(BUILD)/libleat.a
	@mkdir -p $(@D)
	$(CC) $(OPT) $(CFLAGS) $^ -o $@ -lcmocka $(LIBS)
clean:
	rm -rf $(BUILD)

.PHONY: all lib tests clean
.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
