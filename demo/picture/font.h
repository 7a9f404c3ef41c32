/* SPDX-License-Identifier: MIT */
/* A small single-stroke font of lines and arcs, drawn at any size and width. */
#ifndef FONT_H
#define FONT_H

#include "canvas.h"

enum align { LEFT, CENTRE, RIGHT };

struct style {
	float height;	/* of a capital letter, in pixels */
	float width;	/* of the stroke */
	float spacing;	/* between letters, in 1/14 of the height */
	enum align align;
};

void text(struct layer layer, float x, float baseline, const char *words, struct style style, struct ink ink);

#endif
