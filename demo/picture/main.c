// SPDX-License-Identifier: MIT
/*
 * picture - paint the demo's pictures
 *
 *	picture first|second FILE
 *
 * writes WIDTH * HEIGHT pixels of XRGB8888, as a display controller scans them
 * out, so that a plain read() of the file into video memory is all it takes.
 */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct mood before(void)
{
	return (struct mood){
		.seed = 7,
		.night = hex(0x0a0c20), .cloud = hex(0x27307c), .glow = hex(0x1f8f9f),
		.source = hex(0x35e0ff), .middle = hex(0x8d7bff), .target = hex(0xff5fc4),
		.accent = hex(0x5fd4ff),
		.title = "vfio-p2p",
		.subtitle = "a plain read() from NVMe straight into video memory",
		.caption = "peer-to-peer over PCIe * 2 MiB folios * safe across resets",
	};
}

static struct mood after(void)
{
	return (struct mood){
		.seed = 23,
		.night = hex(0x150a12), .cloud = hex(0x5d1838), .glow = hex(0x8f4420),
		.source = hex(0xffd35c), .middle = hex(0xff7a45), .target = hex(0x62f0c0),
		.accent = hex(0xffc46b),
		.title = "after reset",
		.subtitle = "same mapping * same plain read() * the next byte",
		.caption = "gate * zap * drain * reset * resume",
	};
}

/* The picture in the picture: the screen shows what the memory holds. */
static void repeat_on_screen(uint32_t *out)
{
	static uint32_t small[SCREEN_H][SCREEN_W];

	for (int y = 0; y < SCREEN_H; y++) {
		for (int x = 0; x < SCREEN_W; x++) {
			int x0 = x * WIDTH / SCREEN_W, x1 = (x + 1) * WIDTH / SCREEN_W;
			int y0 = y * HEIGHT / SCREEN_H, y1 = (y + 1) * HEIGHT / SCREEN_H;
			uint32_t n = (uint32_t)(x1 - x0) * (y1 - y0), r = 0, g = 0, b = 0;

			for (int v = y0; v < y1; v++) {
				for (int u = x0; u < x1; u++) {
					uint32_t p = out[v * WIDTH + u];

					r += p >> 16, g += p >> 8 & 0xff, b += p & 0xff;
				}
			}
			small[y][x] = r / n << 16 | g / n << 8 | b / n;
		}
	}
	for (int y = 0; y < SCREEN_H; y++)
		memcpy(out + ((int)SCREEN_Y + y) * WIDTH + (int)SCREEN_X, small[y], sizeof(small[y]));
}

/* Light spills over: the same layer again, blurred, narrow and wide. */
static void bloom(struct layer back, struct layer light)
{
	layer_add(back, light, 1);
	layer_blur(light, 2);
	layer_add(back, light, 0.55f);
	layer_blur(light, 7);
	layer_add(back, light, 0.55f);
	layer_blur(light, 26);
	layer_add(back, light, 0.7f);
}

static void paint(const struct mood *mood, uint32_t *out)
{
	struct layer back = layer_new(), light = layer_new();

	sky(back, mood);
	stream(light, mood);
	machine(back, light, mood);
	lettering(light, mood);
	bloom(back, light);
	for (size_t i = 0; i < (size_t)WIDTH * HEIGHT; i++)
		out[i] = pixel(back.px[i]);
	for (int depth = 0; depth < 3; depth++)
		repeat_on_screen(out);
	layer_free(&back);
	layer_free(&light);
}

int main(int argc, char **argv)
{
	static uint32_t out[WIDTH * HEIGHT];
	struct mood mood;
	FILE *file;

	if (argc != 3 || (strcmp(argv[1], "first") && strcmp(argv[1], "second"))) {
		fputs("usage: picture first|second FILE\n", stderr);
		return 2;
	}
	mood = strcmp(argv[1], "first") ? after() : before();
	paint(&mood, out);
	file = fopen(argv[2], "wb");
	if (!file || fwrite(out, sizeof(out), 1, file) != 1 || fclose(file)) {
		perror(argv[2]);
		return 1;
	}
	return 0;
}
