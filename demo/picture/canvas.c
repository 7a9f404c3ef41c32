// SPDX-License-Identifier: MIT
#include "canvas.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
	if (!p) {
		fputs("picture: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

struct layer layer_new(void)
{
	return (struct layer){ must(calloc((size_t)WIDTH * HEIGHT, sizeof(struct rgb))) };
}

void layer_free(struct layer *layer)
{
	free(layer->px);
	layer->px = NULL;
}

void layer_add(struct layer dst, struct layer src, float gain)
{
	for (size_t i = 0; i < (size_t)WIDTH * HEIGHT; i++) {
		dst.px[i].r += src.px[i].r * gain;
		dst.px[i].g += src.px[i].g * gain;
		dst.px[i].b += src.px[i].b * gain;
	}
}

/* A running mean over 2 * radius + 1 pixels of one row or column. */
static void mean_line(struct rgb *line, size_t n, size_t stride, int radius, struct rgb *copy)
{
	struct rgb sum = { 0 };
	float scale = 1.0f / (2 * radius + 1);

	for (size_t i = 0; i < n; i++)
		copy[i] = line[i * stride];
	for (long i = -radius; i < (long)n; i++) {
		if (i + radius < (long)n) {
			sum.r += copy[i + radius].r;
			sum.g += copy[i + radius].g;
			sum.b += copy[i + radius].b;
		}
		if (i - radius - 1 >= 0) {
			sum.r -= copy[i - radius - 1].r;
			sum.g -= copy[i - radius - 1].g;
			sum.b -= copy[i - radius - 1].b;
		}
		if (i >= 0)
			line[(size_t)i * stride] = scaled(sum, scale);
	}
}

/* Three running means in a row are close to a Gaussian, at any radius's cost. */
void layer_blur(struct layer layer, int radius)
{
	struct rgb copy[WIDTH > HEIGHT ? WIDTH : HEIGHT];

	for (int pass = 0; pass < 3; pass++) {
		for (size_t y = 0; y < HEIGHT; y++)
			mean_line(layer.px + y * WIDTH, WIDTH, 1, radius, copy);
		for (size_t x = 0; x < WIDTH; x++)
			mean_line(layer.px + x, HEIGHT, WIDTH, radius, copy);
	}
}

/* How far outside a rounded rectangle a point is; negative inside. */
static float box_distance(float px, float py, float x, float y, float w, float h, float corner)
{
	float dx = fabsf(px - x - w / 2) - w / 2 + corner;
	float dy = fabsf(py - y - h / 2) - h / 2 + corner;

	return hypotf(fmaxf(dx, 0), fmaxf(dy, 0)) + fminf(fmaxf(dx, dy), 0) - corner;
}

static float coverage(float distance)
{
	return fminf(fmaxf(0.5f - distance, 0), 1);
}

struct area {
	int x0, y0, x1, y1;
};

static struct area clipped(float x0, float y0, float x1, float y1, float margin)
{
	return (struct area){ (int)fmaxf(x0 - margin, 0), (int)fmaxf(y0 - margin, 0),
			      (int)fminf(x1 + margin + 1, WIDTH), (int)fminf(y1 + margin + 1, HEIGHT) };
}

void layer_dim(struct layer layer, float x, float y, float w, float h, float corner, struct rgb by)
{
	struct area a = clipped(x, y, x + w, y + h, 1);

	for (int py = a.y0; py < a.y1; py++) {
		for (int px = a.x0; px < a.x1; px++) {
			struct rgb *p = &layer.px[(size_t)py * WIDTH + px];
			float c = coverage(box_distance(px + 0.5f, py + 0.5f, x, y, w, h, corner));

			p->r *= 1 + (by.r - 1) * c;
			p->g *= 1 + (by.g - 1) * c;
			p->b *= 1 + (by.b - 1) * c;
		}
	}
}

static void lighten(struct layer layer, int x, int y, struct rgb colour, float gain)
{
	struct rgb *p;

	if (x < 0 || y < 0 || x >= WIDTH || y >= HEIGHT)
		return;
	p = &layer.px[(size_t)y * WIDTH + x];
	p->r += colour.r * gain;
	p->g += colour.g * gain;
	p->b += colour.b * gain;
}

void dot(struct layer layer, float x, float y, struct rgb colour)
{
	float fx, fy, left = floorf(x - 0.5f), top = floorf(y - 0.5f);

	fx = x - 0.5f - left;
	fy = y - 0.5f - top;
	lighten(layer, left, top, colour, (1 - fx) * (1 - fy));
	lighten(layer, left + 1, top, colour, fx * (1 - fy));
	lighten(layer, left, top + 1, colour, (1 - fx) * fy);
	lighten(layer, left + 1, top + 1, colour, fx * fy);
}

void path_line(struct path *path, float x0, float y0, float x1, float y1)
{
	if (path->n == path->room) {
		path->room = path->room ? 2 * path->room : 32;
		path->seg = must(realloc(path->seg, path->room * sizeof(*path->seg)));
	}
	path->seg[path->n][0] = (struct point){ x0, y0 };
	path->seg[path->n++][1] = (struct point){ x1, y1 };
}

/* Angles in degrees, counted as on paper: counter-clockwise, y upwards. */
void path_arc(struct path *path, float cx, float cy, float rx, float ry, float from, float to)
{
	int steps = (int)(fabsf(to - from) / 10) + 1;
	float px = 0, py = 0;

	for (int i = 0; i <= steps; i++) {
		float a = (from + (to - from) * i / steps) * (float)M_PI / 180;
		float x = cx + rx * cosf(a), y = cy - ry * sinf(a);

		if (i)
			path_line(path, px, py, x, y);
		px = x;
		py = y;
	}
}

void path_box(struct path *path, float x, float y, float w, float h, float corner)
{
	path_line(path, x + corner, y, x + w - corner, y);
	path_line(path, x + w, y + corner, x + w, y + h - corner);
	path_line(path, x + w - corner, y + h, x + corner, y + h);
	path_line(path, x, y + h - corner, x, y + corner);
	path_arc(path, x + w - corner, y + corner, corner, corner, 0, 90);
	path_arc(path, x + corner, y + corner, corner, corner, 90, 180);
	path_arc(path, x + corner, y + h - corner, corner, corner, 180, 270);
	path_arc(path, x + w - corner, y + h - corner, corner, corner, 270, 360);
}

void path_free(struct path *path)
{
	free(path->seg);
	*path = (struct path){ 0 };
}

static float segment_distance(struct point p, struct point a, struct point b)
{
	float dx = b.x - a.x, dy = b.y - a.y, len = dx * dx + dy * dy, t;

	t = len > 0 ? ((p.x - a.x) * dx + (p.y - a.y) * dy) / len : 0;
	t = fminf(fmaxf(t, 0), 1);
	return hypotf(p.x - a.x - dx * t, p.y - a.y - dy * t);
}

static struct rgb ink_at(struct ink ink, float x)
{
	return mixed(ink.left, ink.right, fminf(fmaxf((x - ink.x0) / (ink.x1 - ink.x0), 0), 1));
}

/* One distance for the whole path: where segments meet is no brighter spot. */
static float path_distance(const struct path *path, struct point p)
{
	float best = INFINITY;

	for (size_t i = 0; i < path->n; i++)
		best = fminf(best, segment_distance(p, path->seg[i][0], path->seg[i][1]));
	return best;
}

void stroke(struct layer layer, const struct path *path, float width, struct ink ink)
{
	float x0 = INFINITY, y0 = INFINITY, x1 = -INFINITY, y1 = -INFINITY;
	struct area a;

	for (size_t i = 0; i < 2 * path->n; i++) {
		struct point p = path->seg[i / 2][i % 2];

		x0 = fminf(x0, p.x), x1 = fmaxf(x1, p.x);
		y0 = fminf(y0, p.y), y1 = fmaxf(y1, p.y);
	}
	a = clipped(x0, y0, x1, y1, width + 1);
	for (int y = a.y0; y < a.y1; y++) {
		for (int x = a.x0; x < a.x1; x++) {
			struct point p = { x + 0.5f, y + 0.5f };

			lighten(layer, x, y, ink_at(ink, p.x), coverage(path_distance(path, p) - width / 2));
		}
	}
}

void fill_box(struct layer layer, float x, float y, float w, float h, float corner, struct ink ink)
{
	struct area a = clipped(x, y, x + w, y + h, 1);

	for (int py = a.y0; py < a.y1; py++)
		for (int px = a.x0; px < a.x1; px++)
			lighten(layer, px, py, ink_at(ink, px),
				coverage(box_distance(px + 0.5f, py + 0.5f, x, y, w, h, corner)));
}

static float to_linear(unsigned int byte)
{
	return powf((byte & 0xff) / 255.0f, 2.2f);
}

struct rgb hex(unsigned int code)
{
	return (struct rgb){ to_linear(code >> 16), to_linear(code >> 8), to_linear(code) };
}

static uint32_t to_byte(float light)
{
	return (uint32_t)(powf(1 - expf(-light), 1 / 2.2f) * 255 + 0.5f);
}

uint32_t pixel(struct rgb light)
{
	return to_byte(light.r) << 16 | to_byte(light.g) << 8 | to_byte(light.b);
}
