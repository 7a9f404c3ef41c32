// SPDX-License-Identifier: MIT
/* A nebula: noise whose coordinates are bent by noise; and stars. */
#include "scene.h"

#include <math.h>

float grain(int x, int y, unsigned int seed)
{
	uint32_t h = (uint32_t)x * 0x9e3779b1u ^ (uint32_t)y * 0x85ebca77u ^ seed * 0xc2b2ae3du;

	h = (h ^ h >> 15) * 0x2c1b3c6du;
	h = (h ^ h >> 12) * 0x297a2d39u;
	return (float)((h ^ h >> 15) >> 8) / (1 << 24);
}

static float smooth(float t)
{
	return t * t * t * (t * (t * 6 - 15) + 10);
}

float noise(float x, float y, unsigned int seed)
{
	int ix = (int)floorf(x), iy = (int)floorf(y);
	float fx = smooth(x - ix), fy = smooth(y - iy);
	float top = grain(ix, iy, seed) * (1 - fx) + grain(ix + 1, iy, seed) * fx;
	float low = grain(ix, iy + 1, seed) * (1 - fx) + grain(ix + 1, iy + 1, seed) * fx;

	return top * (1 - fy) + low * fy;
}

static float clouds(float x, float y, int octaves, unsigned int seed)
{
	float sum = 0, gain = 0.5f;

	for (int i = 0; i < octaves; i++) {
		float turned = 0.8f * x - 0.6f * y;

		sum += gain * noise(x, y, seed + i);
		y = 2.03f * (0.6f * x + 0.8f * y);
		x = 2.03f * turned;
		gain *= 0.5f;
	}
	return sum;
}

/* A band across the sky, along the stream: the clouds seem to feed it. */
static float band(float x, float y)
{
	float d = (y - 0.5f - 0.16f * sinf(3.1f * x - 2.2f)) / 0.30f;

	return expf(-d * d);
}

static struct rgb nebula(float x, float y, const struct mood *mood)
{
	unsigned int seed = mood->seed;
	float qx = clouds(2.2f * x, 2.2f * y, 3, seed + 10);
	float qy = clouds(2.2f * x + 5, 2.2f * y + 1, 3, seed + 20);
	float density = clouds(2.4f * x + 2.6f * qx, 2.4f * y + 2.6f * qy, 4, seed + 30);
	float body = fmaxf(density - 0.37f, 0) * 2.7f * (0.25f + band(x / 1.78f, y));
	struct rgb c = mood->night;
	struct rgb hue = mixed(mood->cloud, mood->glow, fminf(fmaxf(qx * 2.6f - 0.8f, 0), 1));

	return mixed(c, scaled(hue, 1.0f + body), fminf(body * body * 0.9f, 1));
}

static void star(struct layer layer, float x, float y, float power, struct rgb hue)
{
	int reach = (int)(2 + power * 16);

	for (int i = -reach; i <= reach; i++) {
		float fall = power * expf(-(i < 0 ? -i : i) * 3.2f / reach);

		dot(layer, x + i, y, scaled(hue, fall * 0.35f));
		dot(layer, x, y + i, scaled(hue, fall * 0.35f));
	}
	dot(layer, x, y, scaled(hue, power * 2.5f));
}

static void stars(struct layer layer, const struct mood *mood)
{
	static const struct rgb white = { 0.9f, 0.95f, 1.0f };

	for (int i = 0; i < 420; i++) {
		float x = grain(i, 1, mood->seed) * WIDTH, y = grain(i, 2, mood->seed) * HEIGHT;
		float power = powf(grain(i, 3, mood->seed), 24);

		if (power > 0.12f)
			star(layer, x, y, power, mixed(white, mood->glow, 0.5f * grain(i, 4, mood->seed)));
		else
			dot(layer, x, y, scaled(white, 0.05f + 0.45f * grain(i, 5, mood->seed)));
	}
}

void sky(struct layer layer, const struct mood *mood)
{
	for (int y = 0; y < HEIGHT; y++)
		for (int x = 0; x < WIDTH; x++)
			layer.px[(size_t)y * WIDTH + x] = nebula((float)x / HEIGHT, (float)y / HEIGHT, mood);
	stars(layer, mood);
}
