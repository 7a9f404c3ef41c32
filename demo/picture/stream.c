// SPDX-License-Identifier: MIT
/* The bytes on their way: four lanes, twisted, each a bundle of fine threads. */
#include "scene.h"

#include <math.h>

enum { LANES = 4, THREADS = 150, STEPS = 900 };

static const float turn = 2 * (float)M_PI;

/* 0 at both ends of the way, 1 in its middle. */
static float open_width(float t)
{
	return powf(sinf((float)M_PI * t), 0.85f);
}

static struct rgb colour_at(const struct mood *mood, float t)
{
	return t < 0.5f ? mixed(mood->source, mood->middle, 2 * t)
			: mixed(mood->middle, mood->target, 2 * t - 1);
}

struct thread {
	float lane, offset, phase, pulse, speed;
};

static struct thread thread_of(int lane, int i, unsigned int seed)
{
	float u = grain(i, lane, seed + 100), v = grain(i, lane, seed + 101);

	return (struct thread){
		.lane = lane * turn / LANES,
		.offset = sqrtf(-2 * logf(fmaxf(u, 1e-4f))) * cosf(turn * v), /* normal */
		.phase = grain(i, lane, seed + 102),
		.pulse = grain(i, lane, seed + 103),
		.speed = 1 + 2 * grain(i, lane, seed + 104),
	};
}

/* Packets: a bright head and a tail that fades behind it. */
static float packet(const struct thread *th, float t)
{
	float behind = th->pulse * 3 - t * th->speed;

	behind -= floorf(behind);
	return expf(-behind * 14);
}

static void thread_draw(struct layer layer, const struct mood *mood, const struct thread *th)
{
	float wander = th->phase * 37;

	for (int s = 0; s < STEPS; s++) {
		float t = (s + th->phase) / STEPS, wide = open_width(t);
		float angle = th->lane + turn * 1.25f * t + 0.5f;
		float depth = cosf(angle); /* 1 is near */
		float spread = (9 + 7 * depth) * wide + 1.6f;
		float drift = (noise(t * 5, wander, mood->seed + 50) - 0.5f) * 46 * wide;
		float y = STREAM_Y + 92 * wide * sinf(angle) + th->offset * spread + drift;
		float x = STREAM_X0 + (STREAM_X1 - STREAM_X0) * t;
		float power = (0.026f + 0.75f * packet(th, t)) * (0.60f + 0.40f * depth);

		dot(layer, x, y, scaled(colour_at(mood, t), power));
	}
}

void stream(struct layer layer, const struct mood *mood)
{
	for (int lane = 0; lane < LANES; lane++) {
		for (int i = 0; i < THREADS; i++) {
			struct thread th = thread_of(lane, i, mood->seed);

			thread_draw(layer, mood, &th);
		}
	}
}
