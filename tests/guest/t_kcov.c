// SPDX-License-Identifier: MIT
/*
 * Does kcov.h see what it says?  A fuzzer that is told of nothing new, or of
 * something new each time, is none.
 */
#define _GNU_SOURCE
#include "dev.h"
#include "harness.h"
#include "kcov.h"

#include <sys/wait.h>
#include <unistd.h>

static struct dev d;

static unsigned int news_of_state(void)
{
	struct p2p_vfio_state state;

	kcov_begin();
	dev_state(&d, &state);
	return kcov_end();
}

static unsigned int news_of_window(uint32_t id)
{
	struct p2p_vfio_window w;

	kcov_begin();
	dev_window_get(&d, id, 0, &w);
	return kcov_end();
}

static void sees_the_driver(void)
{
	unsigned int edges;
	int status;

	if (!kcov_init())
		h_skip_case("this kernel has no KCOV");
	H_EQ(dev_open(&d, "target"), 0);
	H_EQ(kcov_enable(), 0);

	H_CHECK(news_of_state() > 0);
	H_EQ(news_of_state(), 0);
	edges = kcov_edges();
	h_diag("STATE: %u blocks, %u transitions", kcov_blocks(), edges);
	H_CHECK(news_of_window(99) > 0);	/* another way */
	H_CHECK(kcov_edges() > edges);

	/* A child shares the set. */
	if (!fork())
		_exit(kcov_enable() || news_of_state());
	H_CHECK(wait(&status) > 0);
	H_EQ(status, 0);

	kcov_reset();
	H_EQ(kcov_edges(), 0);
	H_CHECK(news_of_state() > 0);
	dev_close(&d);
}

static const struct h_case cases[] = {
	{ "the branches of a call are seen, and what is new among them", sees_the_driver },
	{ }
};

int main(int argc, char **argv)
{
	dev_bind("target", DEV_P2P);
	return h_main(argc, argv, cases);
}
