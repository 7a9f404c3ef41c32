// SPDX-License-Identifier: MIT
#include "scene.h"

#include "font.h"

static const struct rgb white = { 0.85f, 0.9f, 1.0f };
static const struct rgb grey = { 0.26f, 0.28f, 0.33f };

static void label(struct layer light, float x, float y, const char *words, float height, struct rgb c)
{
	text(light, x, y, words, (struct style){ height, 1.6f, 5, CENTRE }, plain(c));
}

void lettering(struct layer light, const struct mood *mood)
{
	struct style big = { 82, 7.5f, 4.6f, CENTRE }, small = { 17, 1.7f, 4.4f, CENTRE };
	struct ink sweep = { mood->source, mood->target, WIDTH / 2 - 240, WIDTH / 2 + 240 };

	sweep.left = scaled(sweep.left, 1.9f);
	sweep.right = scaled(sweep.right, 1.9f);
	text(light, WIDTH / 2, 150, mood->title, big, sweep);
	text(light, WIDTH / 2, 204, mood->subtitle, small, plain(scaled(white, 0.75f)));

	label(light, 201, STREAM_Y + 64, "NVMe", 14, white);
	label(light, SCREEN_X + SCREEN_W / 2, SCREEN_Y - 22, "VRAM = BAR 0", 14, white);
	label(light, 505, 612, "RAM", 12, grey);
	label(light, 730, 571, "CPU", 10, grey);
	label(light, 932, 592, "0 bytes this way", 12, grey);
	text(light, WIDTH / 2, 682, mood->caption, (struct style){ 14, 1.4f, 5, CENTRE },
	     plain(scaled(white, 0.6f)));
}
