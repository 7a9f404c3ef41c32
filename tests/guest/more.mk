# SPDX-License-Identifier: MIT
# What single programs need beyond the harness: see the Makefile.

# Those that speak to the driver.
SPEAK_TO_DRIVER := t_integrity t_views t_windows t_folios t_folio_users t_nofalse t_big t_plain
$(foreach p,$(SPEAK_TO_DRIVER),$(eval MORE_$(p) += $(OUT)/dev.o))

# Those that revoke.
REVOKE := t_straddle t_hungpin t_signals t_stale t_close t_refuse t_uapi t_events t_removal t_siblings t_security t_refs t_faults t_parked += t_storage t_bounds t_operate t_reboot t_stress
$(foreach p,$(REVOKE),$(eval MORE_$(p) += $(OUT)/dev.o $(OUT)/revoke_util.o))

# Those with a circle of waiting, and those with threads that close one.
CYCLES := $(basename $(wildcard t_cycles*.c))
$(foreach p,$(CYCLES),$(eval MORE_$(p) += $(OUT)/dev.o $(OUT)/revoke_util.o))
$(foreach p,t_cycles t_cycles_pair,$(eval MORE_$(p) += $(OUT)/party.o))

# Those that fill the matrix of events.
MATRIX := $(basename $(wildcard t_matrix*.c)) t_aer t_plug t_power t_outside t_sriov
$(foreach p,$(MATRIX),$(eval MORE_$(p) += $(OUT)/dev.o $(OUT)/revoke_util.o $(OUT)/matrix.o))

# Those that lose the device.
PLUG := t_removal t_plug t_aer
$(foreach p,$(PLUG),$(eval MORE_$(p) += $(OUT)/plug_util.o))

# Those that ask the host how the CPU maps something.
READ_PAGE_TABLES := t_views
$(foreach p,$(READ_PAGE_TABLES),$(eval MORE_$(p) += $(OUT)/pagetable.o))

# Those that keep many requests in flight.
SUBMIT_MANY := t_integrity t_stress
$(foreach p,$(SUBMIT_MANY),$(eval MORE_$(p) += $(OUT)/aio.o))
$(addprefix $(OUT)/,$(SUBMIT_MANY)): LDLIBS += -luring

# The one that runs the command itself: linked statically, in a build of its own.
STATIC := $(TOP)/build/static
$(OUT)/t_tool $(OUT)/t_operate: | tool
tool:
	@test -f $(STATIC)/build.ninja || meson setup $(STATIC) $(TOP) --prefer-static \
		-Dtests=false -Dman=false --buildtype=debugoptimized >/dev/null
	@ninja -C $(STATIC) --quiet cli/vfio-p2p
.PHONY: tool

# Those that have parts.
MORE_t_plain += $(OUT)/plain_ask.o $(OUT)/plain_touch.o
MORE_t_faults += $(OUT)/sweep.o $(OUT)/faults_calls.o

# Those that set traps.
SET_TRAPS := t_folios t_folio_users
$(foreach p,$(SET_TRAPS),$(eval MORE_$(p) += $(OUT)/trap.o))

# Those that make the kernel fail.
INJECT := t_faults t_parked
$(foreach p,$(INJECT),$(eval MORE_$(p) += $(OUT)/faults.o))

# Those that ask which branches a call went through.
SEE_BRANCHES := t_kcov
$(foreach p,$(SEE_BRANCHES),$(eval MORE_$(p) += $(OUT)/dev.o $(OUT)/kcov.o))

# The one that models what it transfers.
MORE_t_integrity += $(OUT)/model.o

# The fuzzer of the uAPI.
MORE_t_fuzz += $(addprefix $(OUT)/,dev.o kcov.o fuzz_seq.o fuzz_gen.o fuzz_model.o fuzz_feature.o fuzz_map.o fuzz_dev.o)
# The one that is many processes.
MORE_t_stress += $(addprefix $(OUT)/stress_,$(addsuffix .o,common session worker scrap events errand canary))
