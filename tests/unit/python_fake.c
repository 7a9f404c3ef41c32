// SPDX-License-Identifier: MIT
/* python_fake.c - the library with a fake device, for a test in Python to load and set */
#include "fake.h"

int python_fake_begin(const char *root);
void python_fake_set(uint32_t state, uint64_t generation, uint64_t resets);

/* The device's fd. */
int python_fake_begin(const char *root)
{
	fake_install();
	vp2p__root = root;
	return fake.memory;
}

void python_fake_set(uint32_t state, uint64_t generation, uint64_t resets)
{
	fake_lock();
	fake.state.state = state;
	fake.state.generation = generation;
	fake.state.revokes[0] = resets;
	fake_signal();
	fake_unlock();
}
