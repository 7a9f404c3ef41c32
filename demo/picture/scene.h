/* SPDX-License-Identifier: MIT */
/* What is in the picture; each part in a file of its own. */
#ifndef SCENE_H
#define SCENE_H

#include "canvas.h"

struct mood {
	unsigned int seed;
	struct rgb night, cloud, glow;		/* the sky: dark, body, highlights */
	struct rgb source, middle, target;	/* the stream's colours on its way */
	struct rgb accent;			/* devices' outlines */
	const char *title, *subtitle, *caption;
};

/* Where the two ends of the stream are. */
#define STREAM_X0 344.0f
#define STREAM_X1 926.0f
#define STREAM_Y 362.0f

/* The screen that the picture repeats itself on. */
#define SCREEN_X 936.0f
#define SCREEN_Y 284.0f
#define SCREEN_W 272
#define SCREEN_H 153

void sky(struct layer layer, const struct mood *mood);
void stream(struct layer layer, const struct mood *mood);
/* The devices' bodies darken the sky; their outlines are light. */
void machine(struct layer back, struct layer light, const struct mood *mood);
void lettering(struct layer light, const struct mood *mood);

/* A number in 0 .. 1 for a place on an integer grid. */
float grain(int x, int y, unsigned int seed);
/* Smooth noise in 0 .. 1. */
float noise(float x, float y, unsigned int seed);

#endif
