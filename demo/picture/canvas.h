/* SPDX-License-Identifier: MIT */
/* A layer of linear light to draw on: lines, dots, blur; at the end, pixels. */
#ifndef CANVAS_H
#define CANVAS_H

#include <stddef.h>
#include <stdint.h>

enum { WIDTH = 1280, HEIGHT = 720 };

struct rgb {
	float r, g, b;
};

struct layer {
	struct rgb *px;
};

/* Strokes change their colour from left (at x0) to right (at x1). */
struct ink {
	struct rgb left, right;
	float x0, x1;
};

struct point {
	float x, y;
};

/* A path is a list of segments, not necessarily connected. */
struct path {
	struct point (*seg)[2];
	size_t n, room;
};

struct layer layer_new(void);
void layer_free(struct layer *layer);
/* dst += src * gain */
void layer_add(struct layer dst, struct layer src, float gain);
void layer_blur(struct layer layer, int radius);
/* Multiply what is inside a rounded rectangle: a body that hides the sky. */
void layer_dim(struct layer layer, float x, float y, float w, float h, float corner, struct rgb by);

void dot(struct layer layer, float x, float y, struct rgb colour);

void path_line(struct path *path, float x0, float y0, float x1, float y1);
void path_arc(struct path *path, float cx, float cy, float rx, float ry, float from, float to);
void path_box(struct path *path, float x, float y, float w, float h, float corner);
void path_free(struct path *path);
void stroke(struct layer layer, const struct path *path, float width, struct ink ink);
void fill_box(struct layer layer, float x, float y, float w, float h, float corner, struct ink ink);

static inline struct rgb scaled(struct rgb c, float by)
{
	return (struct rgb){ c.r * by, c.g * by, c.b * by };
}

static inline struct rgb mixed(struct rgb a, struct rgb b, float t)
{
	return (struct rgb){ a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t };
}

static inline struct ink plain(struct rgb c)
{
	return (struct ink){ c, c, 0, 1 };
}

/* 0xRRGGBB as seen on a screen, to linear light. */
struct rgb hex(unsigned int code);
/* Linear light to XRGB8888, with a shoulder instead of clipping. */
uint32_t pixel(struct rgb light);

#endif
