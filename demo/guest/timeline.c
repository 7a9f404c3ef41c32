// SPDX-License-Identifier: MIT
#include "timeline.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void timeline_add(struct timeline *t, uint64_t ns, const char *what, const char *fmt, ...)
{
	struct moment *m;
	va_list ap;

	if (t->n == sizeof(t->moment) / sizeof(*t->moment))
		return;
	m = &t->moment[t->n++];
	m->ns = ns;
	snprintf(m->what, sizeof(m->what), "%s", what);
	va_start(ap, fmt);
	vsnprintf(m->text, sizeof(m->text), fmt, ap);
	va_end(ap);
}

static int earlier(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

void timeline_tell(struct timeline *t)
{
	qsort(t->moment, t->n, sizeof(*t->moment), earlier);
	for (unsigned int i = 0; i < t->n; i++) {
		const struct moment *m = &t->moment[i];

		tell_time((double)(m->ns - t->moment[0].ns) / 1e6, m->what, "%s", m->text);
	}
}
