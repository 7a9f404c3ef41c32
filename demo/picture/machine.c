// SPDX-License-Identifier: MIT
/* The devices: an NVMe drive, a screen, and, aside in the dark, CPU and RAM. */
#include "scene.h"

#include <math.h>

static const struct rgb body = { 0.10f, 0.10f, 0.12f };
static const struct rgb gold = { 0.80f, 0.50f, 0.16f };

static void outline(struct layer light, float x, float y, float w, float h, float corner, float width,
		    struct rgb c)
{
	struct path path = { 0 };

	path_box(&path, x, y, w, h, corner);
	stroke(light, &path, width, plain(c));
	path_free(&path);
}

static void chip(struct layer back, struct layer light, float x, float y, float w, float h, struct rgb c)
{
	layer_dim(back, x, y, w, h, 4, scaled(body, 0.5f));
	fill_box(light, x, y, w, h, 4, plain(scaled(c, 0.035f)));
	outline(light, x, y, w, h, 4, 1.4f, scaled(c, 0.55f));
}

/* An M.2 card: controller, two flash packages, a row of gold contacts. */
static void drive(struct layer back, struct layer light, const struct mood *mood)
{
	float x = 72, y = STREAM_Y - 36, w = 258, h = 72;

	layer_dim(back, x, y, w, h, 8, body);
	outline(light, x, y, w, h, 8, 2.2f, mood->accent);
	chip(back, light, x + 16, y + 13, 66, 46, mood->accent);
	chip(back, light, x + 92, y + 13, 66, 46, mood->accent);
	chip(back, light, x + 170, y + 15, 42, 42, mood->source);
	for (int i = 0; i < 9; i++)
		if (i != 6)
			fill_box(light, x + w - 21, y + 7 + i * 6.6f, 17, 4, 1, plain(gold));
}

static void screen(struct layer back, struct layer light, const struct mood *mood)
{
	float x = SCREEN_X - 7, y = SCREEN_Y - 7, w = SCREEN_W + 14, h = SCREEN_H + 14;
	float middle = x + w / 2;
	struct path foot = { 0 };

	layer_dim(back, x, y, w, h, 9, body);
	outline(light, x, y, w, h, 9, 2.2f, mood->target);
	path_line(&foot, middle - 18, y + h, middle - 24, y + h + 22);
	path_line(&foot, middle + 18, y + h, middle + 24, y + h + 22);
	path_line(&foot, middle - 52, y + h + 22, middle + 52, y + h + 22);
	stroke(light, &foot, 2.2f, plain(scaled(mood->target, 0.8f)));
	path_free(&foot);
}

/* The way not taken, dashed and dim. */
static void detour(struct layer light, struct rgb c)
{
	static const float leg[][4] = {
		{ 201, 440, 201, 566 }, { 201, 566, 424, 566 }, { 586, 566, 676, 566 },
		{ 784, 566, 1072, 566 }, { 1072, 566, 1072, 484 },
	};
	struct path path = { 0 };

	for (size_t i = 0; i < sizeof(leg) / sizeof(*leg); i++) {
		float dx = leg[i][2] - leg[i][0], dy = leg[i][3] - leg[i][1];
		float length = hypotf(dx, dy);

		for (float s = 0; s < length - 4; s += 11)
			path_line(&path, leg[i][0] + dx * s / length, leg[i][1] + dy * s / length,
				  leg[i][0] + dx * (s + 5) / length, leg[i][1] + dy * (s + 5) / length);
	}
	stroke(light, &path, 1.3f, plain(c));
	path_free(&path);
}

static void processor(struct layer back, struct layer light, struct rgb c)
{
	float x = 690, y = 526, side = 80;

	layer_dim(back, x, y, side, side, 7, body);
	outline(light, x, y, side, side, 7, 1.8f, c);
	outline(light, x + 14, y + 14, side - 28, side - 28, 4, 1.2f, scaled(c, 0.6f));
	for (int i = 0; i < 6; i++) {
		float at = 11 + i * 11;

		fill_box(light, x + at, y - 9, 3, 7, 1, plain(scaled(c, 0.5f)));
		fill_box(light, x + at, y + side + 2, 3, 7, 1, plain(scaled(c, 0.5f)));
		fill_box(light, x - 9, y + at, 7, 3, 1, plain(scaled(c, 0.5f)));
		fill_box(light, x + side + 2, y + at, 7, 3, 1, plain(scaled(c, 0.5f)));
	}
}

static void memory(struct layer back, struct layer light, struct rgb c)
{
	float x = 430, y = 544, w = 150, h = 44;

	layer_dim(back, x - 6, y - 4, w + 12, h + 8, 6, body);
	outline(light, x, y, w, h, 4, 1.8f, c);
	for (int i = 0; i < 6; i++)
		outline(light, x + 10 + i * 22.4f, y + 8, 17, 21, 2, 1.1f, scaled(c, 0.6f));
	for (int i = 0; i < 22; i++)
		fill_box(light, x + 8 + i * 6.2f, y + h - 9, 3.2f, 6, 0.5f, plain(scaled(c, 0.5f)));
}

void machine(struct layer back, struct layer light, const struct mood *mood)
{
	struct rgb idle = { 0.15f, 0.16f, 0.19f };

	drive(back, light, mood);
	screen(back, light, mood);
	detour(light, idle);
	processor(back, light, idle);
	memory(back, light, idle);
}
